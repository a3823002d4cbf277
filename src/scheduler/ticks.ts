import { Queue, type RepeatOptions, Worker } from 'bullmq';
import { nextSlot } from '../domain/schedule.ts';
import type { ScheduleRow } from '../domain/storage/schedule-statements.ts';
import type { Engine } from '../jobs/engine/engine.ts';
import { promptly } from '../jobs/engine/queues.ts';

/** The queue of ticks; it carries no work, so that nothing heavy ever hangs on a BullMQ job scheduler. */
export const tickQueue = 'ticks';

/** How far in the past a scheduler's next time may lie before it counts as stopped, in ms. */
const stoppedMs = 5000;

/** croner instead of BullMQ's own cron reader: the two disagree about nights on which the clocks change. */
function repeatStrategy(millis: number, { pattern = '', tz = 'UTC' }: RepeatOptions): number | undefined {
  return nextSlot({ cron: pattern, timezone: tz }, new Date(millis))?.getTime();
}

export interface Reconciled {
  added: number;
  removed: number;
  /** Schedulers that had stopped, or whose cron was not the wanted one. */
  mended: number;
}

/** BullMQ's job schedulers, one for each schedule: they say when to look, and the database says what is to be done. */
export interface Ticks {
  /** Brings the job schedulers in line with the wanted schedules. Throws REDIS_UNAVAILABLE. */
  reconcile(wanted: readonly ScheduleRow[]): Promise<Reconciled>;
  close(): Promise<void>;
}

/** @param onTick called when the time of some schedule has come; may be called too often */
export function openTicks(engine: Engine, onTick: () => Promise<void>): Ticks {
  const { link, log, clock } = engine;
  const settings = { repeatStrategy };
  const connection = link.connect();
  const queue = new Queue(tickQueue, { connection, prefix: link.prefix, settings });
  const worker = new Worker(tickQueue, onTick, {
    connection: link.options('worker'),
    prefix: link.prefix,
    settings,
    concurrency: 200,
    maxStalledCount: 10,
  });
  const onError = (error: Error) => log.debug({ err: error }, 'Tick queue connection error');
  queue.on('error', onError);
  worker.on('error', onError);

  return {
    async reconcile(wanted) {
      const existing = await promptly(queue.getJobSchedulers(), link);
      const byId = new Map(existing.map((scheduler) => [scheduler.key, scheduler]));
      const active = wanted.filter((row) => row.paused === 0 && row.next_at !== null);
      const ids = new Set(active.map((row) => row.id));
      const done: Reconciled = { added: 0, removed: 0, mended: 0 };
      const put = (row: ScheduleRow) =>
        queue.upsertJobScheduler(
          row.id,
          { pattern: row.cron, tz: row.timezone },
          { name: 'tick', data: {}, opts: { removeOnComplete: true, removeOnFail: true } },
        );
      for (const row of active) {
        const scheduler = byId.get(row.id);
        const same = scheduler?.pattern === row.cron && scheduler.tz === row.timezone;
        const runs = scheduler?.next !== undefined && scheduler.next > clock.now().getTime() - stoppedMs;
        if (same && runs) continue;
        if (scheduler) {
          done.mended += 1;
          if (same)
            log.warn({ schedule: row.name }, 'Its scheduler in Redis had stopped; it is set up again');
          await promptly(queue.removeJobScheduler(row.id), link);
          // A tick that is in no list any more would stand in the way of the new one, which has the same id.
          const next = nextSlot(row, clock.now())?.getTime();
          await promptly(queue.remove(`repeat:${row.id}:${next}`), link);
        } else done.added += 1;
        await promptly(put(row), link);
      }
      for (const id of byId.keys()) {
        if (ids.has(id)) continue;
        done.removed += 1;
        await promptly(queue.removeJobScheduler(id), link);
      }
      return done;
    },
    async close() {
      await Promise.race([
        Promise.allSettled([worker.close(), queue.close()]),
        new Promise((resolve) => setTimeout(resolve, 3000).unref()),
      ]);
      connection.disconnect();
    },
  };
}
