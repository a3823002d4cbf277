import { existsSync, writeFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import {
  createRegistry,
  defineJob,
  type JobContext,
  type JobDefinition,
} from '../../../src/jobs/engine/define.ts';
import { History } from './fault.ts';

const policy = { queue: 'general', attempts: 10, backoffMs: 100, timeoutMs: 60_000 } as const;

/** Leaves one trace in the database in the transaction of its result. */
function trace(context: JobContext, action: string) {
  const { id, attempt } = context.job;
  return { at: '', actor: 'fault', action, subject: id, details: { attempt } };
}

/** Takes `ms`, then ends. */
export const work = defineJob(
  {
    ...policy,
    type: 'fault.work',
    payload: z.object({
      clientId: z.string().default('a'),
      n: z.number().default(0),
      ms: z.number().default(0),
    }),
    result: z.object({ n: z.number() }),
  },
  async (context, { n, ms }) => {
    if (ms > 0) await delay(ms, undefined, { signal: context.signal });
    return { result: { n }, record: (tx) => tx.addAudit(trace(context, 'effect')) };
  },
);

export const stepNames = ['one', 'two', 'three', 'four', 'five', 'six'] as const;

/** Six steps; at one place of its life it takes its process with it, once. */
export const steps = defineJob(
  {
    ...policy,
    type: 'fault.steps',
    payload: z.object({ history: z.string(), dieAt: z.string() }),
    result: z.null(),
  },
  async (context, { history, dieAt }) => {
    const told = new History(history);
    const place = (name: string) => {
      const flag = `${history}.${context.job.id}`;
      if (name !== dieAt || existsSync(flag)) return;
      writeFileSync(flag, '');
      process.kill(process.pid, 'SIGKILL');
    };
    for (const name of stepNames) {
      await context.step(name, async () => {
        told.note('body', `${context.job.id} ${name}`);
        place(`in ${name}`);
        return { evidence: {}, record: (tx) => tx.addAudit(trace(context, `step ${name}`)) };
      });
      told.note('committed', `${context.job.id} ${name}`);
      place(`after ${name}`);
    }
    return { result: null };
  },
);

/** Kills its worker each time. */
export const poison = defineJob(
  { ...policy, type: 'fault.poison', payload: z.object({}), result: z.null() },
  async () => {
    process.kill(process.pid, 'SIGKILL');
    return { result: null };
  },
);

export const faultRegistry = createRegistry([work, steps, poison] as unknown as JobDefinition[]);
