import { v7 as newId } from 'uuid';
import type { AlertSettings } from '../domain/settings.ts';
import type { Engine } from '../jobs/engine/engine.ts';
import { type Retention, tidyUp } from './housekeeping.ts';
import { accountFor } from './slots.ts';
import { watchSilence } from './silence.ts';
import { watchAlerts } from './watch.ts';
import { openTicks, type Reconciled } from './ticks.ts';

/** Rhythms in ms; tests shorten these. */
export interface SchedulerClocks {
  /** How often the database is asked for slots that have come due. */
  sweepMs: number;
  /** How often the job schedulers in Redis are compared with the wanted schedules. */
  reconcileMs: number;
  /** How often what has had its time is forgotten. */
  tidyMs: number;
}

export const defaultSchedulerClocks: SchedulerClocks = {
  sweepMs: 1000,
  reconcileMs: 15_000,
  tidyMs: 3_600_000,
};

/** How long a scheduler that has gone keeps others from taking its place, in ms. */
const leaseMs = 10_000;

/** How often silence is looked for, and how long after the start for the first time, in ms. */
const silenceMs = 60_000;
const patienceMs = 600_000;

/** The lease that the one scheduler holds which sweeps and reconciles. */
export const schedulerLease = 'scheduler';

export interface RunningScheduler {
  /** Whether this process holds the lease now. */
  leads(): boolean;
  /** Compares Redis with the wanted schedules now, if this process leads. */
  reconcile(): Promise<Reconciled | undefined>;
  close(): Promise<void>;
}

/**
 * Runs the schedules that stand in the database. BullMQ's job schedulers tick at the times; each tick, and a sweep
 * every second beside them, accounts for the slots that have come due, so a tick that is lost, doubled or late changes
 * nothing, and slots that fall while Redis is away are kept. Any number of processes may do this at once: ticks go to
 * any of them, and the holder of a lease sweeps, reconciles and tidies up.
 *
 * @param onLag told how late each run was asked for, in ms
 */
export function startScheduler(
  engine: Engine,
  options: {
    retention: Retention;
    alerts: AlertSettings;
    clocks?: SchedulerClocks;
    onLag?: (ms: number) => void;
  },
): RunningScheduler {
  const { storage, clock, log } = engine;
  const clocks = options.clocks ?? defaultSchedulerClocks;
  const owner = newId();
  let leads = false;
  let leasedAt = Number.NEGATIVE_INFINITY;
  const stopped = new AbortController();
  let comparedAt = Number.NEGATIVE_INFINITY;
  let tidied = { at: performance.now(), wall: clock.now().getTime() };
  let revision = '';
  // Whoever has just come up finds everything silent; the schedules get their time to make up for it.
  let silenceAt = performance.now() + patienceMs;

  /** Answers with whether more of its slots have come due than `limit`. */
  async function account(scheduleId: string, limit?: number): Promise<boolean> {
    const { jobs, lagsMs, more } = await storage.write((tx) =>
      accountFor(tx, engine, scheduleId, clock.now(), limit),
    );
    if (jobs.length > 0) engine.relay.kick();
    for (const lag of lagsMs) options.onLag?.(lag);
    return more;
  }

  /** Accounts for whatever has come due. */
  async function sweepAll(): Promise<void> {
    for (;;) {
      // Not too much in one commit, however long nobody was there: others want to write as well.
      const due = storage.read.dueSchedules(clock.now().toISOString(), 100);
      const outcomes = await Promise.allSettled(due.map((id) => account(id, 3)));
      const failed = outcomes.find((outcome) => outcome.status === 'rejected');
      if (failed)
        log.error({ err: failed.reason as unknown }, 'A slot could not be accounted for; it is tried again');
      for (const [index, id] of due.entries()) {
        const outcome = outcomes[index];
        let more = outcome?.status === 'fulfilled' && outcome.value;
        while (more) more = (await account(id)) && !stopped.signal.aborted;
      }
      if (failed || due.length < 100 || stopped.signal.aborted) return;
    }
  }

  let sweeping: Promise<void> | undefined;
  /** Of many that ask at once the first does it for all. */
  function sweep(): Promise<void> {
    sweeping ??= sweepAll().finally(() => {
      sweeping = undefined;
    });
    return sweeping;
  }

  const ticks = openTicks(engine, async () => {
    if (storage.read.dueSchedules(clock.now().toISOString(), 1).length > 0) await sweep();
  });

  async function reconcile(): Promise<Reconciled> {
    const wanted = storage.read.schedulesRevision();
    const done = await ticks.reconcile(storage.read.schedules());
    revision = wanted;
    comparedAt = performance.now();
    if (done.added + done.removed + done.mended > 0) log.info({ ...done }, 'Redis follows the schedules');
    return done;
  }

  let alarm: NodeJS.Timeout | undefined;
  /** Does not wait for the next round if something comes due before it. */
  function setAlarm(): void {
    clearTimeout(alarm);
    const next = storage.read.nextDue();
    const left = next === null ? Number.POSITIVE_INFINITY : Date.parse(next) - clock.now().getTime();
    if (left > 0 && left < clocks.sweepMs) {
      alarm = setTimeout(() => {
        sweep().catch((error: unknown) => log.warn({ err: error }, 'The next round looks again'));
      }, left);
    }
  }

  async function round(): Promise<void> {
    if (!leads || performance.now() - leasedAt > leaseMs / 4) {
      leads = await storage.write((tx) => tx.takeLease(schedulerLease, owner, clock.now(), leaseMs));
      leasedAt = performance.now();
    }
    if (!leads) return;
    await sweep();
    setAlarm();
    await watchAlerts(engine, options);
    if (performance.now() - silenceAt >= silenceMs) {
      silenceAt = performance.now();
      await watchSilence(engine, options);
    }
    const changed = storage.read.schedulesRevision() !== revision;
    if (changed || performance.now() - comparedAt >= clocks.reconcileMs) {
      await reconcile().catch((error: unknown) => log.debug({ err: error }, 'Redis is away; ticks wait'));
    }
    if (performance.now() - tidied.at >= clocks.tidyMs) {
      const before = tidied;
      tidied = { at: performance.now(), wall: clock.now().getTime() };
      // A clock that is suddenly far ahead makes everything look old.
      if (tidied.wall - before.wall > tidied.at - before.at + 3_600_000) return;
      const forgotten = await tidyUp(engine, options.retention);
      if (forgotten > 0) log.info({ jobs: forgotten }, 'Jobs that had their time were forgotten');
    }
  }

  let running: Promise<void> | undefined;
  function look(): void {
    running ??= round()
      .catch((error: unknown) => log.warn({ err: error }, 'The scheduler could not do its round'))
      .finally(() => {
        running = undefined;
      });
  }
  const timer = setInterval(look, clocks.sweepMs);
  look();

  return {
    leads: () => leads,
    reconcile: async () => (leads ? reconcile() : undefined),
    async close() {
      stopped.abort();
      clearInterval(timer);
      clearTimeout(alarm);
      await Promise.race([running, new Promise((resolve) => setTimeout(resolve, 3000).unref())]);
      await ticks.close();
      await storage.write((tx) => tx.giveUpLease(schedulerLease, owner)).catch(() => {});
    },
  };
}
