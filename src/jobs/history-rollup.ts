import { z } from 'zod';
import { graceMs, rollUpHour } from '../domain/history/rollup.ts';
import { defineJob, type JobContext, type Outcome } from './engine/define.ts';

const payload = z.strictObject({});

const result = z.object({ clients: z.number(), hours: z.number() });

/** Rolls up the raw history of every client, hour by hour, up to the last hour that is over. */
export const historyRollup = defineJob(
  {
    type: 'history.rollup',
    queue: 'general',
    payload,
    result,
    routine: true,
    attempts: 5,
    backoffMs: 5000,
    timeoutMs: 600_000,
  },
  rollUp,
);

async function rollUp(context: JobContext): Promise<Outcome<z.infer<typeof result>>> {
  const { storage, clock, signal } = context;
  const now = clock.now().getTime();
  const clients = storage.read.clientsToRollUp(now - graceMs);
  let hours = 0;
  for (const [index, clientId] of clients.entries()) {
    context.progress(Math.round((index / clients.length) * 100), clientId);
    const timezone = storage.read.clientTimezone(clientId) ?? 'UTC';
    // An hour is a transaction of its own: others write in between, and a retry goes on where this ended.
    while (await context.write((tx) => rollUpHour(tx, clientId, timezone, now))) {
      hours += 1;
      signal.throwIfAborted();
    }
  }
  return { result: { clients: clients.length, hours } };
}
