import { defineEntity, p } from '@mikro-orm/sqlite';
import { z } from 'zod';

/** How often a process with workers says that it lives, and how long its last word counts, in ms. */
export const beat = { everyMs: 5000, countsMs: 20_000 } as const;

/** A process that runs workers: one that ended in good order has taken its row away. */
export const ProcessEntity = defineEntity({
  name: 'Process',
  tableName: 'processes',
  properties: {
    id: p.string().primary(),
    kind: p.string(),
    host: p.string(),
    pid: p.integer(),
    version: p.string(),
    places: p.json<Record<string, number>>(),
    startedAt: p.string(),
    beatAt: p.string(),
  },
});

/** What only one process does at a time: whoever holds the lease. */
export const LeaseEntity = defineEntity({
  name: 'Lease',
  tableName: 'leases',
  properties: { name: p.string().primary(), owner: p.string(), until: p.string() },
});

/** How much of an account's rate limit is used up: the time, in ms since the epoch, at which all of it is free again. */
export const BudgetEntity = defineEntity({
  name: 'Budget',
  tableName: 'budgets',
  properties: { account: p.string().primary(), freeAt: p.double() },
});

export const workerProcessSchema = z.object({
  kind: z.string().describe('serve, worker, or the command that brought it up'),
  host: z.string(),
  pid: z.number(),
  version: z.string(),
  places: z.record(z.string(), z.number()).describe('jobs it runs at a time, by queue'),
  startedAt: z.string(),
  beatAt: z.string(),
  alive: z.boolean().describe('whether its last beat is fresh'),
});
export type WorkerProcess = z.infer<typeof workerProcessSchema>;
