import { beat } from '../domain/process.ts';
import type { Engine } from '../jobs/engine/engine.ts';

/** How long what has ended is kept, in days. */
export interface Retention {
  keepDays: number;
  keepFailedDays: number;
}

const dayMs = 86_400_000;

/** Rows that one transaction removes, so that nobody waits long for it. */
const atOnce = 500;

/** Forgets jobs, slots and processes that have had their time. Answers with how many jobs. */
export async function tidyUp(
  engine: Pick<Engine, 'storage' | 'clock'>,
  retention: Retention,
): Promise<number> {
  const { storage, clock } = engine;
  const ago = (ms: number) => new Date(clock.now().getTime() - ms).toISOString();
  const all = async (remove: () => Promise<number>): Promise<number> => {
    let total = 0;
    for (;;) {
      const removed = await remove();
      total += removed;
      if (removed < atOnce) return total;
    }
  };
  const before = ago(retention.keepDays * dayMs);
  const beforeFailed = ago(retention.keepFailedDays * dayMs);
  const jobs =
    (await all(() => storage.write((tx) => tx.forgetJobs(['succeeded', 'cancelled'], before, atOnce)))) +
    (await all(() => storage.write((tx) => tx.forgetJobs(['failed', 'dead'], beforeFailed, atOnce))));
  await all(() => storage.write((tx) => tx.forgetSlots(beforeFailed, atOnce)));
  // A process that went without a word is shown for a day.
  await storage.write((tx) => tx.forgetProcesses(ago(dayMs + beat.countsMs)));
  return jobs;
}
