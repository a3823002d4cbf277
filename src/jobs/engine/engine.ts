import { v7 as newId } from 'uuid';
import type { z } from 'zod';
import { type Clock, nowIso } from '../../domain/clock.ts';
import { DomainError, type ErrorShape, parseWith } from '../../domain/errors.ts';
import {
  isFinal,
  type Job,
  type JobAttempt,
  type JobLog,
  jobNotFound,
  type JobStep,
  type Progress,
  type RetryState,
} from '../../domain/job.ts';
import type { Log } from '../../domain/log.ts';
import type { JobRow } from '../../domain/storage/job-statements.ts';
import type { Statements } from '../../domain/storage/statements.ts';
import type { Storage } from '../../domain/storage/storage.ts';
import { limitsFrom } from './admission.ts';
import type { JobDefinition, JobLimits, Registry } from './define.ts';
import { openQueues, promptly, type Queues } from './queues.ts';
import { openRedisLink, type RedisLink, type RedisSettings } from './redis-link.ts';
import { createRelay, type Relay } from './relay.ts';
import { openSignals, type Signals } from './signals.ts';

export interface SubmitOptions {
  requestedBy: string;
  /** A second submit with the same key answers with the first job. */
  idempotencyKey?: string;
  /** Of the jobs with one key only one runs at a time; the others wait for their turn. */
  serialKey?: string;
}

export interface WaitOptions {
  /** In ms; without it there is no limit. */
  timeoutMs?: number;
  signal?: AbortSignal;
  onProgress?: (progress: Progress) => void;
}

/** Which jobs are to be retried; all of what is given must fit. */
export interface RetryFilter {
  state: RetryState;
  type?: string | undefined;
  clientId?: string | undefined;
}

/** Puts jobs in, follows them and ends them. Reads and cancels work while Redis is away. */
export interface Engine {
  readonly storage: Storage;
  readonly link: RedisLink;
  readonly queues: Queues;
  readonly signals: Signals;
  readonly relay: Relay;
  readonly clock: Clock;
  readonly log: Log;
  readonly registry: Registry;
  /** How many jobs of a type may be handed to the queue at a time. */
  limitsOf(type: string): JobLimits;
  /**
   * Accepts a job: once this resolves the job is on disk and will run. Throws PAYLOAD_INVALID, or REDIS_UNAVAILABLE
   * within about a second, and then nothing was accepted.
   */
  submit<P extends z.ZodType, R extends z.ZodType>(
    job: JobDefinition<P, R>,
    payload: z.input<P>,
    options: SubmitOptions,
  ): Promise<Job>;
  /** Adds a job to a transaction of the caller's; hand it over with `relay.kick()` after the commit. */
  insert<P extends z.ZodType, R extends z.ZodType>(
    tx: Statements,
    job: JobDefinition<P, R>,
    payload: z.input<P>,
    options: SubmitOptions,
  ): { id: string; created: boolean };
  /** Comes back with the job once it has ended, however it ended. Throws JOB_NOT_FOUND, WAIT_TIMEOUT, INTERRUPTED. */
  wait(id: string, options?: WaitOptions): Promise<Job>;
  get(id: string): Job;
  list(filter?: { state?: string; type?: string; clientId?: string; limit?: number }): Job[];
  steps(id: string): JobStep[];
  /** Each start of the job: when, where, and how it ended. */
  attempts(id: string): JobAttempt[];
  logs(id: string, after?: number): (JobLog & { id: number })[];
  /** Asks a job to stop and answers with its row, which may still say `running` for a moment. */
  cancel(id: string, requestedBy: string): Promise<Job>;
  /** Runs an ended job again. Throws JOB_STATE for one that has not ended or has succeeded. */
  retry(id: string, requestedBy: string): Promise<Job>;
  /** Runs all jobs again that ended without success and fit the filter. */
  retryAll(filter: RetryFilter, requestedBy: string): Promise<Job[]>;
  close(): Promise<void>;
}

/** The result of a job that succeeded; throws the job's own error, JOB_CANCELLED or JOB_FAILED otherwise. */
export function resultOf<R extends z.ZodType>(definition: JobDefinition<z.ZodType, R>, job: Job): z.infer<R> {
  if (job.state === 'succeeded')
    return parseWith(definition.result, job.result, `result of ${job.type}`, 'INTERNAL');
  const hint = `See what happened with: msp-toolkit job show ${job.id}`;
  if (job.state === 'cancelled') {
    throw new DomainError('JOB_CANCELLED', `The job ${job.id} was cancelled.`, {
      details: { jobId: job.id },
      hint,
    });
  }
  if (!job.error) throw new DomainError('JOB_FAILED', `The job ${job.id} is ${job.state}.`, { hint });
  const error = job.error as ErrorShape;
  throw new DomainError(error.code, error.message, {
    details: { ...error.details, jobId: job.id },
    hint: error.hint ?? hint,
  });
}

export function toJob(row: JobRow): Job {
  return {
    id: row.id,
    type: row.type,
    state: row.state,
    clientId: row.client_id,
    requestedBy: row.requested_by,
    // A fan-out is one attempt, and being cancelled before the start is none.
    attempts: row.started_at === null ? 0 : Math.max(1, row.attempt - row.parked),
    progress: row.progress === null ? null : JSON.parse(row.progress),
    payload: JSON.parse(row.payload),
    result: row.result === null ? null : JSON.parse(row.result),
    error: row.error === null ? null : JSON.parse(row.error),
    createdAt: row.created_at,
    startedAt: row.started_at,
    finishedAt: row.finished_at,
  };
}

function clientIdOf(payload: unknown): string | null {
  return typeof payload === 'object' &&
    payload !== null &&
    'clientId' in payload &&
    typeof payload.clientId === 'string'
    ? payload.clientId
    : null;
}

export function openEngine(parts: {
  storage: Storage;
  redis: RedisSettings;
  registry: Registry;
  clock: Clock;
  log: Log;
  /** Limits by job type, over those that the types bring along. */
  limits?: Record<string, JobLimits>;
}): Engine {
  const { storage, clock, log, registry } = parts;
  const link = openRedisLink(parts.redis, log);
  const queues = openQueues(link, log);
  const signals = openSignals(link, log);
  const limitsOf = limitsFrom(registry, parts.limits ?? {});
  const relay = createRelay({ owner: newId(), storage, queues, link, clock, log, registry, limitsOf });

  function row(id: string): JobRow {
    const found = storage.read.job(id);
    if (!found) throw jobNotFound(id);
    return found;
  }

  function insert(
    tx: Statements,
    job: JobDefinition,
    payload: unknown,
    options: SubmitOptions,
  ): { id: string; created: boolean } {
    const parsed = parseWith(job.payload, payload, `payload of ${job.type}`, 'PAYLOAD_INVALID');
    const now = nowIso(clock);
    const clientId = clientIdOf(parsed);
    const inserted = tx.insertJob({
      id: newId(),
      type: job.type,
      clientId,
      requestedBy: options.requestedBy,
      idempotencyKey: options.idempotencyKey ?? null,
      payload: parsed,
      createdAt: now,
      queue: job.queue,
      lane: clientId ?? '',
      serialKey: options.serialKey ?? null,
    });
    if (inserted.created && !(job.routine && /^(schedule|job):/.test(options.requestedBy))) {
      tx.addAudit({
        at: now,
        actor: options.requestedBy,
        action: `job.submit`,
        subject: `job:${inserted.id}`,
        details: { type: job.type, payload: parsed },
      });
    }
    return inserted;
  }

  return {
    storage,
    link,
    queues,
    signals,
    relay,
    clock,
    log,
    registry,
    limitsOf,
    insert,
    async submit(job, payload, options) {
      parseWith(job.payload, payload, `payload of ${job.type}`, 'PAYLOAD_INVALID');
      await link.ready();
      const { id, rows } = await storage.write((tx) => {
        const inserted = insert(tx, job, payload, options);
        return { ...inserted, rows: inserted.created ? relay.admit(tx, job.queue) : [] };
      });
      await relay
        .handOver(rows)
        .catch((error: unknown) =>
          log.warn({ err: error, job: id }, 'Accepted, but Redis is away; handed over later'),
        );
      return toJob(row(id));
    },

    async wait(id, options = {}) {
      row(id);
      const deadline =
        options.timeoutMs === undefined ? Number.POSITIVE_INFINITY : performance.now() + options.timeoutMs;
      let wake = () => {};
      const off = signals.on(id, (signal) => {
        if (signal.kind === 'progress') options.onProgress?.(signal.progress);
        else wake();
      });
      const onAbort = () => wake();
      options.signal?.addEventListener('abort', onAbort);
      try {
        for (;;) {
          const job = row(id);
          if (isFinal(job.state)) return toJob(job);
          options.signal?.throwIfAborted();
          const left = deadline - performance.now();
          if (left <= 0) {
            throw new DomainError('WAIT_TIMEOUT', `The job ${id} has not ended yet; it goes on.`, {
              details: { jobId: id, state: job.state },
              hint: `Wait on with: msp-toolkit job wait ${id}`,
            });
          }
          await new Promise<void>((resolve) => {
            // Asking again is what makes this sure; the signal only makes it fast.
            const timer = setTimeout(resolve, Math.min(left, 200));
            wake = () => {
              clearTimeout(timer);
              resolve();
            };
          });
        }
      } finally {
        off();
        options.signal?.removeEventListener('abort', onAbort);
      }
    },

    get: (id) => toJob(row(id)),
    list: (filter = {}) => storage.read.jobs({ limit: 50, ...filter }).map(toJob),

    steps(id) {
      row(id);
      return storage.read.steps(id).map((step) => ({
        name: step.name,
        status: step.status,
        evidence: JSON.parse(step.evidence),
        startedAt: step.started_at,
        finishedAt: step.finished_at,
      }));
    },

    attempts(id) {
      row(id);
      return storage.read.attempts(id).map((attempt) => ({
        attempt: attempt.attempt,
        worker: attempt.worker,
        startedAt: attempt.started_at,
        endedAt: attempt.ended_at,
        outcome: attempt.outcome,
        error: attempt.error === null ? null : JSON.parse(attempt.error),
      }));
    },

    logs(id, after) {
      row(id);
      return storage.read.logs(id, after);
    },

    async cancel(id, requestedBy) {
      const before = row(id);
      const now = nowIso(clock);
      const error = new DomainError('JOB_CANCELLED', `Cancelled by ${requestedBy}.`).toJSON();
      const policy = registry.job(before.type);
      const endIdle = (tx: Statements, evenRunning: boolean) => {
        if (tx.cancelIdle(id, error, now, evenRunning))
          policy?.abandon?.(tx, { id, state: 'cancelled', error, at: now });
      };
      await storage.write((tx) => {
        if (!tx.requestCancel(id, now)) return;
        tx.addAudit({ at: now, actor: requestedBy, action: 'job.cancel', subject: `job:${id}`, details: {} });
        endIdle(tx, false);
      });
      signals.publish({ kind: 'cancel', id });
      if (policy && !isFinal(before.state)) {
        // A waiting or fanned-out job is held by nobody: taking it from the queue is enough. An active one is
        // locked, so this fails and its worker obeys the signal or the flag.
        const removed = await promptly(
          queues.get(policy.queue).remove(id, { removeChildren: true }),
          link,
        ).catch(() => 0);
        if (removed === 1) await storage.write((tx) => endIdle(tx, true));
      }
      relay.kick();
      signals.publish({ kind: 'ended', id });
      return toJob(row(id));
    },

    async retry(id, requestedBy) {
      const before = row(id);
      const now = nowIso(clock);
      const reset = await storage.write((tx) => {
        if (!tx.retryJob(id)) return false;
        tx.addAudit({ at: now, actor: requestedBy, action: 'job.retry', subject: `job:${id}`, details: {} });
        return true;
      });
      if (!reset) {
        throw new DomainError(
          'JOB_STATE',
          `The job ${id} is ${before.state}; only a failed, cancelled or dead one can be retried.`,
          {
            details: { jobId: id, state: before.state },
            hint: `See it with: msp-toolkit job show ${id}`,
          },
        );
      }
      relay.kick();
      return toJob(row(id));
    },

    async retryAll(filter, requestedBy) {
      const ids = storage.read.jobs({ ...filter, limit: -1 }).map(({ id }) => id);
      const again: string[] = [];
      for (let start = 0; start < ids.length; start += 200) {
        const retried = await storage.write((tx) =>
          ids.slice(start, start + 200).filter((id) => {
            if (!tx.retryJob(id)) return false;
            const act = { at: nowIso(clock), actor: requestedBy, action: 'job.retry', subject: `job:${id}` };
            tx.addAudit({ ...act, details: { filter } });
            return true;
          }),
        );
        again.push(...retried);
        relay.kick();
      }
      return again.map((id) => toJob(row(id)));
    },

    async close() {
      await relay.close();
      await queues.close();
      signals.close();
      await link.close();
    },
  };
}
