import {
  type Job as QueueJob,
  type Queue,
  UnrecoverableError,
  WaitingChildrenError,
  WaitingError,
} from 'bullmq';
import { nowIso } from '../domain/clock.ts';
import { DomainError, parseWith, toDomainError } from '../domain/errors.ts';
import type { JobState, Progress } from '../domain/job.ts';
import type { Log } from '../domain/log.ts';
import type { Ports } from '../domain/ports.ts';
import type { Settings } from '../domain/settings.ts';
import type { JobRow } from '../domain/storage/job-statements.ts';
import type {
  ChildDefinition,
  ChildOutcome,
  JobContext,
  JobDefinition,
  Outcome,
  StepOutcome,
} from '../jobs/engine/define.ts';
import type { Engine } from '../jobs/engine/engine.ts';
import { queueOptions } from '../jobs/engine/queues.ts';

/** Starts of one job, crashes included, after which it is dead: a job that kills its worker must not do so for ever. */
export const maxStarts = 12;

/** How long a handler may take to obey its aborted signal before it is left behind, in ms. */
const obeyMs = 3000;

/** Why an attempt was stopped from outside. */
type Stop = 'cancel' | 'timeout' | 'shutdown' | 'lost lock';

/** A running attempt, as the worker that owns it sees it. */
export interface RunningAttempt {
  stop(why: Stop): void;
}

export interface RuntimeParts {
  ports: Ports;
  settings: Settings;
  workerName: string;
  /** The queue that child jobs of a definition go to. */
  childQueue: (definition: ChildDefinition) => Queue;
  running: Map<string, RunningAttempt>;
}

/** The last progress of an attempt that is not in its row yet. */
interface Told {
  unwritten: Progress | undefined;
}

/** Thrown by writes of an attempt that a newer one has replaced. */
class StaleAttempt extends Error {
  override name = 'StaleAttempt';
}

/** Runs `work` until it settles or, once aborted, for `obeyMs` more. */
async function obeying<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  work.catch(() => {});
  let timer: NodeJS.Timeout | undefined;
  const abandoned = new Promise<never>((_, reject) => {
    const startTimer = () => {
      timer = setTimeout(() => reject(signal.reason), obeyMs);
    };
    if (signal.aborted) startTimer();
    else signal.addEventListener('abort', startTimer, { once: true });
  });
  try {
    return await Promise.race([work, abandoned]);
  } finally {
    clearTimeout(timer);
  }
}

/** Whether the queue will try once more after this failure. */
function hasTriesLeft(queueJob: QueueJob): boolean {
  return queueJob.attemptsMade + 1 < (queueJob.opts.attempts ?? 1);
}

/** Runs a child job: no row, no database. Its result goes to its parent through the queue. */
export async function runChild(
  definition: ChildDefinition,
  queueJob: QueueJob,
  lostLock: AbortSignal | undefined,
  parts: Pick<RuntimeParts, 'ports' | 'running'> & Pick<Engine, 'clock' | 'log'>,
): Promise<unknown> {
  const stopper = new AbortController();
  const signals = [
    stopper.signal,
    AbortSignal.timeout(definition.timeoutMs),
    ...(lostLock ? [lostLock] : []),
  ];
  const signal = AbortSignal.any(signals);
  const id = queueJob.id ?? '';
  parts.running.set(id, { stop: (why) => stopper.abort(new Error(why)) });
  try {
    const payload = parseWith(
      definition.payload,
      queueJob.data,
      `payload of ${definition.type}`,
      'PAYLOAD_INVALID',
    );
    const { ports, clock, log } = parts;
    const result = await obeying(definition.run({ ports, clock, log, signal }, payload), signal);
    return parseWith(definition.result, result, `result of ${definition.type}`, 'INTERNAL');
  } catch (error) {
    const known = toDomainError(error);
    throw known.retryable ? known : new UnrecoverableError(known.message);
  } finally {
    parts.running.delete(id);
  }
}

/** Runs one attempt of a job and records how it ended. */
export async function runJob(
  definition: JobDefinition,
  queueJob: QueueJob,
  token: string,
  lostLock: AbortSignal | undefined,
  engine: Engine,
  parts: RuntimeParts,
): Promise<unknown> {
  const { storage, clock, signals } = engine;
  const id = queueJob.id ?? '';
  const row = await storage.write((tx) => tx.startAttempt(id, parts.workerName, nowIso(clock)));
  // The job ended before, so this start comes from a crash between the record and the queue: nothing is left to do.
  if (!row) return null;
  const attempt = row.attempt;

  const told: Told = { unwritten: undefined };

  async function end(state: JobState, error: DomainError | null, outcome?: Outcome<unknown>): Promise<void> {
    const ended = await storage.write((tx) => {
      if (!tx.isCurrent(id, attempt)) return false;
      // First what the job leaves, for that may complete its result: the id of a job it asks for, say.
      outcome?.record?.(tx);
      if (told.unwritten) tx.setProgress(id, attempt, told.unwritten);
      const result =
        outcome && parseWith(definition.result, outcome.result, `result of ${row?.type}`, 'INTERNAL');
      return tx.finishJob({ id, attempt, state, result, error: error?.toJSON() ?? null, now: nowIso(clock) });
    });
    if (ended) signals.publish({ kind: 'ended', id });
    else engine.log.warn({ job: id, attempt }, 'A newer attempt has taken over; this one leaves no trace');
  }

  if (row.starts > maxStarts) {
    const message = `The job was started ${row.starts - 1} times and never ended; its worker may have crashed each time.`;
    const hint = `Once the cause is mended: msp-toolkit job retry ${id}`;
    await end('dead', new DomainError('JOB_CRASH_LIMIT', message, { hint }));
    throw new UnrecoverableError(message);
  }
  if (row.cancel_requested_at !== null) {
    await end('cancelled', new DomainError('JOB_CANCELLED', 'Cancelled before it ran.'));
    throw new UnrecoverableError('cancelled');
  }

  const stopper = new AbortController();
  let stopped: Stop | undefined;
  const stop = (why: Stop) => {
    stopped ??= why;
    stopper.abort(new Error(why));
  };
  const timer = setTimeout(() => stop('timeout'), definition.timeoutMs);
  lostLock?.addEventListener('abort', () => stop('lost lock'), { once: true });
  parts.running.set(id, { stop });
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
    await end('succeeded', null, outcome);
    engine.relay.kick();
    return null;
  } catch (error) {
    if (error instanceof WaitingChildrenError) {
      await storage.write((tx) => tx.noteParked(id));
      throw error;
    }
    if (error instanceof StaleAttempt || stopped === 'lost lock') {
      engine.log.warn({ job: id, attempt }, 'This attempt was replaced by a newer one');
      throw error;
    }
    if (stopped === 'shutdown') {
      await storage.write((tx) => tx.requeueAttempt(id, attempt, null));
      await queueJob.moveToWait(token);
      throw new WaitingError();
    }
    if (stopped === 'cancel') {
      await end('cancelled', new DomainError('JOB_CANCELLED', 'Cancelled while it ran.'));
      throw new UnrecoverableError('cancelled');
    }
    const known =
      stopped === 'timeout'
        ? new DomainError('JOB_TIMEOUT', `It took longer than ${definition.timeoutMs / 1000} s.`, {
            cause: error,
          })
        : toDomainError(error);
    context.log.error({ err: error, code: known.code }, known.message);
    if (!known.retryable) {
      await end('failed', known);
      throw new UnrecoverableError(known.message);
    }
    if (hasTriesLeft(queueJob)) await storage.write((tx) => tx.requeueAttempt(id, attempt, known.toJSON()));
    else await end('dead', known);
    throw known;
  } finally {
    clearTimeout(timer);
    parts.running.delete(id);
  }
}

function createContext(
  queueJob: QueueJob,
  token: string,
  row: JobRow,
  signal: AbortSignal,
  engine: Engine,
  parts: RuntimeParts,
  told: Told,
): JobContext {
  const { storage, clock, signals } = engine;
  const { id, attempt } = row;
  const log = jobLog(engine, row);

  const write: JobContext['write'] = (work) =>
    storage.write((tx) => {
      if (!tx.isCurrent(id, attempt)) throw new StaleAttempt(`attempt ${attempt} of ${id} is not the newest`);
      return work(tx);
    });

  function writeProgress(): void {
    const progress = told.unwritten;
    told.unwritten = undefined;
    if (progress) storage.write((tx) => tx.setProgress(id, attempt, progress)).catch(() => {});
  }

  async function step(name: string, work: () => Promise<StepOutcome>): Promise<unknown> {
    signal.throwIfAborted();
    const all = storage.read.steps(id);
    const before = all.find((s) => s.name === name);
    if (before && before.status !== 'failed')
      return before.output === null ? undefined : JSON.parse(before.output);
    const position = before?.position ?? all.length;
    const startedAt = nowIso(clock);
    const put = (status: 'done' | 'skipped' | 'failed', outcome: StepOutcome) =>
      write((tx) => {
        outcome.record?.(tx);
        const { output, evidence } = outcome;
        tx.putStep({
          jobId: id,
          name,
          position,
          status,
          output,
          evidence,
          startedAt,
          finishedAt: nowIso(clock),
          attempt,
        });
      });
    try {
      const outcome = await work();
      await put(outcome.status ?? 'done', outcome);
      log.info({ step: name }, `step ${name}: ${outcome.status ?? 'done'}`);
      return outcome.output;
    } catch (error) {
      if (!(error instanceof WaitingChildrenError || error instanceof StaleAttempt || signal.aborted)) {
        const { code, message } = toDomainError(error);
        await put('failed', { evidence: { code, reason: message } });
      }
      throw error;
    }
  }

  const children: JobContext['children'] = async (child, payloads) => {
    type Result = ChildOutcome<unknown>;
    const childId = (index: number) => `${id}.${child.type}.${index}`;
    const queue = parts.childQueue(child as unknown as ChildDefinition);
    const keyOf = (index: number) => queue.toKey(childId(index));
    const collect = async (): Promise<(Result | undefined)[]> => {
      const [values, failures] = await Promise.all([
        queueJob.getChildrenValues(),
        queueJob.getIgnoredChildrenFailures(),
      ]);
      return payloads.map((_, index) => {
        const key = keyOf(index);
        if (key in values) {
          const parsed = child.result.safeParse(values[key]);
          return parsed.success
            ? { result: parsed.data, error: undefined }
            : { result: undefined, error: 'its answer had the wrong form' };
        }
        return key in failures ? { result: undefined, error: failures[key] } : undefined;
      });
    };
    const before = await collect();
    const missing = payloads.flatMap((data, index) => (before[index] ? [] : [{ data, index }]));
    if (missing.length > 0) {
      await queue.addBulk(
        missing.map(({ data, index }) => ({
          name: child.type,
          data,
          opts: {
            ...queueOptions(child as unknown as ChildDefinition, childId(index)),
            parent: { id, queue: queueJob.queueQualifiedName },
            // Without one of these a child that fails for good would leave its parent waiting for ever.
            ignoreDependencyOnFailure: true,
          },
        })),
      );
      if (await queueJob.moveToWaitingChildren(token)) throw new WaitingChildrenError();
    }
    const after = missing.length > 0 ? await collect() : before;
    return after.map((outcome) => outcome ?? { result: undefined, error: 'no answer' }) as never;
  };

  return {
    job: { id, type: row.type, attempt, requestedBy: row.requested_by },
    log,
    signal,
    clock,
    storage,
    settings: parts.settings,
    ports: parts.ports,
    write,
    step,
    children,
    progress(percent, message) {
      const progress: Progress = { percent, message };
      signals.publish({ kind: 'progress', id, progress });
      // The row is for those who come later; a quick succession shares a commit.
      if (told.unwritten === undefined) setTimeout(writeProgress, 100).unref();
      told.unwritten = progress;
    },
    enqueue: (tx, job, payload) => engine.insert(tx, job, payload, { requestedBy: `job:${id}` }).id,
  };
}

/** A log that goes both to the process's log and to the job's own, which `job logs` shows. */
function jobLog(engine: Engine, row: JobRow): Log {
  const { storage, clock } = engine;
  const at = (level: 'debug' | 'info' | 'warn' | 'error') => (fields: object, message: string) => {
    engine.log[level]({ job: row.id, type: row.type, attempt: row.attempt, ...fields }, message);
    if (level === 'debug') return;
    storage
      .write((tx) => tx.addLog(row.id, { attempt: row.attempt, at: nowIso(clock), level, message }))
      .catch((error: unknown) =>
        engine.log.warn({ err: error, job: row.id }, 'A line of the job log was not stored'),
      );
  };
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
}
