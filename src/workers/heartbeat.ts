import { hostname } from 'node:os';
import { v7 as newId } from 'uuid';
import { type Clock, nowIso } from '../domain/clock.ts';
import type { Log } from '../domain/log.ts';
import { beat } from '../domain/process.ts';
import type { Storage } from '../domain/storage/storage.ts';

/** What a process with workers says of itself. */
export interface ProcessFacts {
  /** serve, worker, or what brought it up. */
  kind: string;
  version: string;
  /** Jobs it runs at a time, by queue. */
  places: Record<string, number>;
}

/** Notes in the database that this process lives, now and again and again, until it is told to stop. */
export async function startHeartbeat(
  storage: Storage,
  clock: Clock,
  log: Log,
  facts: ProcessFacts,
): Promise<{ stop(): Promise<void> }> {
  const self = { id: newId(), host: hostname(), pid: process.pid, ...facts };
  const say = () => storage.write((tx) => tx.putProcess({ ...self, now: nowIso(clock) }));
  await say();
  const timer = setInterval(() => {
    say().catch((error: unknown) => log.warn({ err: error }, 'The heartbeat could not be written'));
  }, beat.everyMs).unref();
  return {
    async stop() {
      clearInterval(timer);
      await storage.write((tx) => tx.removeProcess(self.id)).catch(() => {});
    },
  };
}
