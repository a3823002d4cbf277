import { beat } from '../domain/process.ts';
import type { Engine } from '../jobs/engine/engine.ts';

/** How long what has ended is kept, in days. */
export interface Retention {
  keepDays: number;
  keepFailedDays: number;
  history: { rawDays: number; minuteDays: number; hourDays: number; dayDays: number };
}

const dayMs = 86_400_000;

/** How long routine work is kept that succeeded. */
const routineMs = 2 * dayMs;

/** Rows that one transaction removes, so that nobody waits long for it. */
const atOnce = 500;

/** Forgets jobs, slots and processes that have had their time. Answers with how many jobs. */
export async function tidyUp(
  engine: Pick<Engine, 'storage' | 'clock' | 'registry'>,
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
  const routine = engine.registry.jobTypes().filter((type) => engine.registry.job(type)?.routine);
  if (routine.length > 0) {
    await all(() => storage.write((tx) => tx.forgetRoutine(routine, ago(routineMs), atOnce)));
    await all(() => storage.write((tx) => tx.forgetRunSlots(ago(routineMs), atOnce)));
  }
  await all(() => storage.write((tx) => tx.forgetSlots(beforeFailed, atOnce)));
  const { rawDays, minuteDays, hourDays, dayDays } = retention.history;
  const agoMs = (days: number) => clock.now().getTime() - days * dayMs;
  await all(() => storage.write((tx) => tx.forgetRuns(agoMs(rawDays), atOnce)));
  await all(() => storage.write((tx) => tx.forgetBlocks('minute', agoMs(minuteDays), atOnce)));
  await all(() => storage.write((tx) => tx.forgetBlocks('hour', agoMs(hourDays), atOnce)));
  await all(() => storage.write((tx) => tx.forgetBlocks('day', agoMs(dayDays), atOnce)));
  await all(() => storage.write((tx) => tx.forgetSpans(agoMs(dayDays), atOnce)));
  await all(() => storage.write((tx) => tx.forgetStates(ago(dayDays * dayMs), atOnce)));
  // A process that went without a word is shown for a day.
  await storage.write((tx) => tx.forgetProcesses(ago(dayMs + beat.countsMs)));
  return jobs;
}
