import type { Clock } from '../../domain/clock.ts';
import { DomainError, type ErrorShape } from '../../domain/errors.ts';
import type { Log } from '../../domain/log.ts';
import type { Storage } from '../../domain/storage/storage.ts';
import type { Statements } from '../../domain/storage/statements.ts';
import type { JobRow } from '../../domain/storage/job-statements.ts';
import { admit, type AdmissionRequest, placesOf } from './admission.ts';
import { type JobLimits, type QueueName, queueNames, type Registry } from './define.ts';
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

/** How many rows are handed over at a time. */
const batch = 100;

/**
 * Hands pending job rows to the queue, as many as may go. The lease keeps two relays off the same row; the job id, which
 * is the row's, makes handing over twice the same as once.
 */
export interface Relay {
  /** Gives places in `queue` to rows that may go now, and leases these to this relay. */
  admit(tx: Statements, queue: QueueName): JobRow[];
  /** Hands over rows that are leased to this relay. Those that could not be are taken up again later. */
  handOver(rows: readonly JobRow[]): Promise<void>;
  /** Hands over whatever may go, soon. */
  kick(): void;
  /** Looks after the outbox until closed. */
  start(clocks?: RelayClocks): void;
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
  limitsOf(type: string): JobLimits;
}): Relay {
  const { owner, storage, queues, link, clock, log, registry, limitsOf } = parts;
  const now = () => clock.now().toISOString();
  const ago = (ms: number) => new Date(clock.now().getTime() - ms).toISOString();
  // Rows of a type that only a newer version knows are left to that one.
  const types = registry.jobTypes();
  const typesIn = (queue: QueueName) => types.filter((type) => registry.job(type)?.queue === queue);
  const timers = new Set<NodeJS.Timeout>();
  let running: Promise<void> | undefined;
  let again = false;

  function admitTo(tx: Statements, queue: QueueName): JobRow[] {
    const at = clock.now().getTime();
    const request: AdmissionRequest = {
      owner,
      until: new Date(at + relayLeaseMs).toISOString(),
      places: placesOf(tx.livePlaces(clock.now())),
      limitsOf,
      limit: batch,
    };
    return admit(tx, queue, typesIn(queue), request);
  }

  async function add(row: JobRow): Promise<void> {
    const policy = registry.job(row.type);
    if (!policy) throw new Error(`this version knows no job type ${row.type}`);
    await promptly(queues.get(policy.queue).add(row.type, {}, queueOptions(policy, row.id)), link);
    // Not awaited: should this be lost, the row is handed over again under the same id, which changes nothing.
    storage
      .write((tx) => tx.markQueued(row.id, now()))
      .catch((error: unknown) => log.warn({ err: error }, 'Not noted as queued'));
  }

  async function handOver(rows: readonly JobRow[]): Promise<void> {
    const outcomes = await Promise.allSettled(rows.map(add));
    const failed = rows.filter((_, index) => outcomes[index]?.status === 'rejected');
    if (failed.length === 0) return;
    const reason = outcomes.find((outcome) => outcome.status === 'rejected')?.reason as unknown;
    await storage.write((tx) => {
      for (const { id } of failed) tx.dropLease(id, owner);
    });
    throw reason;
  }

  async function drain(): Promise<void> {
    for (;;) {
      if (types.length === 0 || !storage.read.hasWaiting(types, now(), relayLimit())) return;
      const rows = await storage.write((tx) => [
        ...tx.takeOverLeases(owner, queueNames, types, now(), relayLimit(), batch),
        ...queueNames.flatMap((queue) => admitTo(tx, queue)),
      ]);
      if (rows.length === 0) return;
      await handOver(rows);
    }
  }

  const relayLimit = () => new Date(clock.now().getTime() + relayLeaseMs).toISOString();

  /** Finds rows that the queue has forgotten (Redis was wiped, say) or given up, and acts on it. */
  async function reconcile(olderThanMs: number): Promise<void> {
    const before = ago(olderThanMs);
    for (let after = ''; ;) {
      const rows = storage.read.unfinishedBefore(before, now(), after, 200);
      for (const row of rows) await compare(row);
      const last = rows.at(-1);
      if (!last || rows.length < 200) return;
      after = last.id;
    }
  }

  async function compare(row: { id: string; type: string; queue: string; attempt: number }): Promise<void> {
    const queue = queueNames.find((name) => name === row.queue);
    if (!queue) return;
    const policy = registry.job(row.type);
    const job = await promptly(queues.get(queue).getJob(row.id), link);
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
      await storage.write((tx) => {
        if (!tx.buryJob(row.id, row.attempt, error, now())) return;
        policy?.abandon?.(tx, { id: row.id, state: 'dead', error, at: now() });
      });
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
      .catch((error: unknown) => {
        const level = error instanceof DomainError && error.code === 'REDIS_FULL' ? 'error' : 'debug';
        log[level]({ err: error }, 'The outbox could not be emptied; trying again');
      })
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
    admit: admitTo,
    handOver,
    kick,
    start(clocks = defaultRelayClocks) {
      const check = () => {
        Promise.resolve()
          .then(() => reconcile(clocks.reconcileMs))
          .then(kick)
          .catch((error: unknown) => log.debug({ err: error }, 'Could not reconcile with the queue'));
      };
      storage
        .write((tx) => {
          for (const type of types) tx.moveWaiting(type, registry.job(type)?.queue ?? 'general');
        })
        .catch((error: unknown) => log.warn({ err: error }, 'Waiting jobs were not moved to their queues'));
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
