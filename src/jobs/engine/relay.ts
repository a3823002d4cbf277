import type { Clock } from '../../domain/clock.ts';
import type { ErrorShape } from '../../domain/errors.ts';
import type { Log } from '../../domain/log.ts';
import type { Storage } from '../../domain/storage/storage.ts';
import type { Registry } from './define.ts';
import { promptly, queueOptions, type Queues } from './queues.ts';
import type { RedisLink } from './redis-link.ts';

/** How long a relay may take over the rows it leased before another one takes them, in ms. */
export const relayLeaseMs = 10_000;

export interface RelayClocks {
  /** How often the outbox is looked at, in ms. */
  pollMs: number;
  /** How often, and for rows how old, the queue is asked whether it still has them, in ms. */
  reconcileMs: number;
}

export const defaultRelayClocks: RelayClocks = { pollMs: 500, reconcileMs: 15_000 };

/**
 * Hands pending job rows to the queue. The lease keeps two relays off the same row; the job id, which is the row's,
 * makes handing over twice the same as once.
 */
export interface Relay {
  /** Hands over one row that the caller has just inserted under this relay's lease. */
  handOver(job: { id: string; type: string }): Promise<void>;
  /** Hands over whatever waits, soon. */
  kick(): void;
  /** Looks after the outbox until closed. */
  start(clocks?: RelayClocks): void;
  readonly owner: string;
  close(): Promise<void>;
}

export function createRelay(parts: {
  owner: string;
  storage: Storage;
  queues: Queues;
  link: RedisLink;
  clock: Clock;
  log: Log;
  registry: Registry;
}): Relay {
  const { owner, storage, queues, link, clock, log, registry } = parts;
  const now = () => clock.now().toISOString();
  const ago = (ms: number) => new Date(clock.now().getTime() - ms).toISOString();
  // Rows of a type that only a newer version knows are left to that one.
  const types = registry.jobTypes();
  const timers = new Set<NodeJS.Timeout>();
  let running: Promise<void> | undefined;
  let again = false;

  async function handOver(job: { id: string; type: string }): Promise<void> {
    const policy = registry.job(job.type);
    if (!policy) {
      log.error(
        { job: job.id, type: job.type },
        'This version knows no such job type; the job stays pending',
      );
      return;
    }
    const add = queues.get(policy.queue).add(job.type, {}, queueOptions(policy, job.id));
    await promptly(add, link);
    // Not awaited: should this be lost, the row is handed over again under the same id, which changes nothing.
    storage
      .write((tx) => tx.markQueued(job.id, now()))
      .catch((error: unknown) => log.warn({ err: error }, 'Not noted as queued'));
  }

  async function drain(): Promise<void> {
    while (storage.read.hasPending(types)) {
      const until = new Date(clock.now().getTime() + relayLeaseMs).toISOString();
      const rows = await storage.write((tx) => tx.leasePending(owner, types, now(), until, 100));
      await Promise.all(rows.map(handOver));
      if (rows.length < 100) return;
    }
  }

  /** Finds rows that the queue has forgotten (Redis was wiped, say) or given up, and acts on it. */
  async function reconcile(olderThanMs: number): Promise<void> {
    const before = ago(olderThanMs);
    for (let after = ''; ;) {
      const rows = storage.read.unfinishedBefore(before, after, 200);
      for (const row of rows) await compare(row);
      const last = rows.at(-1);
      if (!last || rows.length < 200) return;
      after = last.id;
    }
  }

  async function compare(row: { id: string; type: string; attempt: number }): Promise<void> {
    const policy = registry.job(row.type);
    if (!policy) return;
    const job = await promptly(queues.get(policy.queue).getJob(row.id), link);
    const state = job ? await promptly(job.getState(), link) : 'unknown';
    if (state === 'unknown') {
      const returned = await storage.write((tx) => tx.returnToPending(row.id, row.attempt));
      if (returned) log.warn({ job: row.id }, 'The queue had lost this job; it is handed over again');
    } else if (state === 'failed') {
      const error: ErrorShape = {
        code: 'JOB_CRASH_LIMIT',
        message: `The queue gave the job up: ${job?.failedReason ?? 'no reason known'}.`,
        details: {},
        hint: `Try it again with: msp-toolkit job retry ${row.id}`,
      };
      await storage.write((tx) => tx.buryJob(row.id, row.attempt, error, now()));
      await job?.remove();
    }
  }

  function kick(): void {
    if (running) {
      again = true;
      return;
    }
    // Even a read that fails must end here and not in the timer that asked for it.
    running = Promise.resolve()
      .then(drain)
      .catch((error: unknown) => log.debug({ err: error }, 'The outbox could not be emptied; trying again'))
      .finally(() => {
        running = undefined;
        if (again) {
          again = false;
          kick();
        }
      });
  }

  function every(ms: number, work: () => void): void {
    timers.add(setInterval(work, ms).unref());
  }

  return {
    owner,
    handOver,
    kick,
    start(clocks = defaultRelayClocks) {
      const check = () => {
        Promise.resolve()
          .then(() => reconcile(clocks.reconcileMs))
          .then(kick)
          .catch((error: unknown) => log.debug({ err: error }, 'Could not reconcile with the queue'));
      };
      every(clocks.pollMs, kick);
      every(clocks.reconcileMs, check);
      check();
      kick();
    },
    async close() {
      for (const timer of timers) clearInterval(timer);
      again = false;
      await running;
    },
  };
}
