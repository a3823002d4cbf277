import {
  DelayedError,
  type Job as QueueJob,
  UnrecoverableError,
  WaitingChildrenError,
  WaitingError,
} from 'bullmq';
import { nowIso } from '../domain/clock.ts';
import { DomainError, type ErrorShape, parseWith, toDomainError } from '../domain/errors.ts';
import { mask, maskText } from '../domain/mask.ts';
import type { AttemptOutcome, JobState } from '../domain/job.ts';
import type { Statements } from '../domain/storage/statements.ts';
import type { ChildDefinition, JobDefinition, Outcome } from '../jobs/engine/define.ts';
import { mayStart } from '../jobs/engine/admission.ts';
import type { Engine } from '../jobs/engine/engine.ts';
import {
  createContext,
  Postponed,
  register,
  type RuntimeParts,
  StaleAttempt,
  type Stop,
  type Told,
} from './context.ts';

/** Starts of one job, crashes included, after which it is dead: a job that kills its worker must not do so for ever. */
export const maxStarts = 12;

/** How long a job waits that would exceed the limits of its type, on average, in ms. */
const fullMs = 1000;

/** How long a handler may take to obey its aborted signal before it is left behind, in ms. */
const obeyMs = 3000;

/** Runs `work` until it settles or, once aborted, for `obeyMs` more. */
async function obeying<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  work.catch(() => {});
  let timer: NodeJS.Timeout | undefined;
  let startTimer = () => {};
  const abandoned = new Promise<never>((_, reject) => {
    startTimer = () => {
      timer = setTimeout(() => reject(signal.reason), obeyMs);
    };
  });
  if (signal.aborted) startTimer();
  else signal.addEventListener('abort', startTimer, { once: true });
  try {
    return await Promise.race([work, abandoned]);
  } finally {
    clearTimeout(timer);
    // A signal that somebody listens to is kept, and with it all that the work had in hand.
    signal.removeEventListener('abort', startTimer);
  }
}

/** An error as it is kept and shown later: without secrets. */
function stored(error: DomainError | null): ErrorShape | null {
  return error && (mask(error.toJSON()) as ErrorShape);
}

/** An error as the queue, and whoever traces it, may see it. */
function queueError(error: DomainError): Error {
  const shown = new Error(maskText(error.message));
  shown.stack = `${error.name}: ${shown.message}`;
  return shown;
}

/** Whether the queue will try once more after this failure. */
function hasTriesLeft(queueJob: QueueJob): boolean {
  return queueJob.attemptsMade + 1 < (queueJob.opts.attempts ?? 1);
}

/**
 * Hands a job back whose earlier attempt still runs in this process, which has lost its lock: two attempts of one job
 * here would share one entry in BullMQ's own books. It comes again in a moment, and no try is used up.
 */
async function yieldToEarlier(
  queueJob: QueueJob,
  token: string,
  running: RuntimeParts['running'],
): Promise<void> {
  const earlier = running.get(queueJob.id ?? '');
  if (!earlier) return;
  earlier.stop('lost lock');
  await queueJob.moveToDelayed(Date.now() + 500, token);
  throw new DelayedError();
}

/** Puts a job that a shutdown cut short back into its queue, without using up a try. */
async function putBack(queueJob: QueueJob, token: string): Promise<never> {
  await queueJob.moveToWait(token);
  throw new WaitingError();
}

/** Runs a child job: no row, no database. Its result goes to its parent through the queue. */
export async function runChild(
  definition: ChildDefinition,
  queueJob: QueueJob,
  token: string,
  parts: Pick<RuntimeParts, 'ports' | 'running'> & Pick<Engine, 'clock' | 'log'>,
): Promise<unknown> {
  const { ports, clock, log, running } = parts;
  await yieldToEarlier(queueJob, token, running);
  const stopper = new AbortController();
  let stopped: Stop | undefined;
  const unregister = register(running, queueJob.id ?? '', (why) => {
    stopped ??= why;
    stopper.abort(new Error(why));
  });
  const { signal } = stopper;
  const timer = setTimeout(
    () => stopper.abort(new DOMException('it took too long', 'TimeoutError')),
    definition.timeoutMs,
  );
  try {
    const what = `payload of ${definition.type}`;
    const payload = parseWith(definition.payload, queueJob.data, what, 'PAYLOAD_INVALID');
    // Its parent reads the result, and parses it there.
    return await obeying(definition.run({ ports, clock, log, signal }, payload), signal);
  } catch (error) {
    if (stopped === 'shutdown') return await putBack(queueJob, token);
    const known = toDomainError(error);
    throw known.retryable ? queueError(known) : new UnrecoverableError(maskText(known.message));
  } finally {
    clearTimeout(timer);
    unregister();
  }
}

/** Runs one attempt of a job and records how it ended. */
export async function runJob(
  definition: JobDefinition,
  queueJob: QueueJob,
  token: string,
  engine: Engine,
  parts: RuntimeParts,
): Promise<unknown> {
  const { storage, clock, signals } = engine;
  const id = queueJob.id ?? '';
  await yieldToEarlier(queueJob, token, parts.running);
  const row = await storage.write((tx) =>
    mayStart(tx, id, engine.limitsOf) ? tx.startAttempt(id, parts.workerName, nowIso(clock)) : 'full',
  );
  if (row === 'full') {
    await queueJob.moveToDelayed(Date.now() + fullMs * (0.5 + Math.random()), token);
    throw new DelayedError();
  }
  // The job ended before, so this start comes from a crash between the record and the queue: nothing is left to do.
  if (!row) return null;
  const attempt = row.attempt;

  const told: Told = { unwritten: undefined };
  const began = performance.now();
  const type = row.type;
  const report = (outcome: AttemptOutcome) => parts.onAttempt?.(type, outcome, performance.now() - began);

  /** Ends the attempt alone; the job goes on. */
  async function leave(
    outcome: AttemptOutcome,
    error: DomainError | null,
    record?: (tx: Statements) => void,
  ): Promise<void> {
    await storage.write((tx) => {
      record?.(tx);
      tx.endAttempt(id, attempt, outcome, stored(error), nowIso(clock));
    });
    report(outcome);
  }

  /** Ends the job, and with it this attempt. */
  async function end(
    state: JobState,
    how: AttemptOutcome,
    error: DomainError | null,
    outcome?: Outcome<unknown>,
  ): Promise<void> {
    const ended = await storage.write((tx) => {
      if (!tx.isCurrent(id, attempt)) {
        tx.endAttempt(id, attempt, 'replaced', null, nowIso(clock));
        return false;
      }
      tx.endAttempt(id, attempt, how, stored(error), nowIso(clock));
      // First what the job leaves, for that may complete its result: the id of a job it asks for, say.
      outcome?.record?.(tx);
      const last = state === 'succeeded' ? { percent: 100, message: 'done' } : told.unwritten;
      if (last) tx.setProgress(id, attempt, last);
      const result = outcome && parseWith(definition.result, outcome.result, `result of ${type}`, 'INTERNAL');
      if (state !== 'succeeded')
        definition.abandon?.(tx, { id, state, error: stored(error), at: nowIso(clock) });
      return tx.finishJob({ id, attempt, state, result, error: stored(error), now: nowIso(clock) });
    });
    report(ended ? how : 'replaced');
    // Its place is free.
    engine.relay.kick();
    if (ended) signals.publish({ kind: 'ended', id });
    else engine.log.warn({ job: id, attempt }, 'A newer attempt has taken over; this one leaves no trace');
  }

  if (row.starts > maxStarts) {
    const message = `The job was started ${row.starts - 1} times and never ended; its worker may have crashed each time.`;
    const hint = `Once the cause is mended: msp-toolkit job retry ${id}`;
    await end('dead', 'failed', new DomainError('JOB_CRASH_LIMIT', message, { hint }));
    throw new UnrecoverableError(message);
  }
  if (row.cancel_requested_at !== null) {
    await end('cancelled', 'cancelled', new DomainError('JOB_CANCELLED', 'Cancelled before it ran.'));
    throw new UnrecoverableError('cancelled');
  }

  const stopper = new AbortController();
  let stopped: Stop | undefined;
  const stop = (why: Stop) => {
    stopped ??= why;
    stopper.abort(new Error(why));
  };
  const timer = setTimeout(() => stop('timeout'), definition.timeoutMs);
  const unregister = register(parts.running, id, stop);
  const context = createContext(queueJob, token, row, stopper.signal, engine, parts, told);
  try {
    const payload = parseWith(
      definition.payload,
      JSON.parse(row.payload),
      `payload of ${row.type}`,
      'PAYLOAD_INVALID',
    );
    const outcome = await obeying(definition.run(context, payload), stopper.signal);
    stopper.signal.throwIfAborted();
    await end('succeeded', 'succeeded', null, outcome);
    return null;
  } catch (error) {
    if (error instanceof WaitingChildrenError) {
      await leave('parked', null, (tx) => tx.parkAttempt(id, attempt));
      engine.relay.kick();
      throw error;
    }
    if (error instanceof StaleAttempt || stopped === 'lost lock') {
      engine.log.warn({ job: id, attempt }, 'This attempt was replaced by a newer one');
      await leave('replaced', null);
      throw error;
    }
    if (stopped === 'shutdown') {
      await leave('released', null, (tx) => tx.releaseAttempt(id, attempt));
      return await putBack(queueJob, token);
    }
    if (error instanceof Postponed) {
      await leave('postponed', null, (tx) => tx.releaseAttempt(id, attempt));
      await queueJob.moveToDelayed(Date.now() + error.ms, token);
      throw new DelayedError();
    }
    if (stopped === 'cancel') {
      await end('cancelled', 'cancelled', new DomainError('JOB_CANCELLED', 'Cancelled while it ran.'));
      throw new UnrecoverableError('cancelled');
    }
    const known =
      stopped === 'timeout'
        ? new DomainError('JOB_TIMEOUT', `It took longer than ${definition.timeoutMs / 1000} s.`, {
            cause: error,
          })
        : toDomainError(error);
    context.log.error({ err: error, code: known.code }, known.message);
    const how = known.code === 'JOB_TIMEOUT' ? 'timed-out' : 'failed';
    if (!known.retryable) {
      await end('failed', how, known);
      throw new UnrecoverableError(maskText(known.message));
    }
    if (hasTriesLeft(queueJob)) {
      await leave(how, known, (tx) => tx.requeueAttempt(id, attempt, stored(known)));
      engine.relay.kick();
    } else await end('dead', how, known);
    throw queueError(known);
  } finally {
    clearTimeout(timer);
    unregister();
  }
}
