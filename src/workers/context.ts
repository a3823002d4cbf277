import { type Job as QueueJob, type Queue, WaitingChildrenError } from 'bullmq';
import { nowIso } from '../domain/clock.ts';
import { toDomainError } from '../domain/errors.ts';
import type { AttemptOutcome, Progress } from '../domain/job.ts';
import type { Log } from '../domain/log.ts';
import { maskText } from '../domain/mask.ts';
import type { Ports } from '../domain/ports.ts';
import type { Settings } from '../domain/settings.ts';
import type { JobRow, StepRow } from '../domain/storage/job-statements.ts';
import type { ChildDefinition, ChildOutcome, JobContext, StepOutcome } from '../jobs/engine/define.ts';
import { type Engine, resultOf } from '../jobs/engine/engine.ts';
import { queueOptions } from '../jobs/engine/queues.ts';

/** Why an attempt was stopped from outside. */
export type Stop = 'cancel' | 'timeout' | 'shutdown' | 'lost lock';

/** A running attempt, as the worker that owns it sees it. */
export interface RunningAttempt {
  stop(why: Stop): void;
}

/** Puts an attempt among those that run here, and takes it out again without touching a successor of the same job. */
export function register(
  running: Map<string, RunningAttempt>,
  id: string,
  stop: RunningAttempt['stop'],
): () => void {
  const entry = { stop };
  running.set(id, entry);
  return () => {
    if (running.get(id) === entry) running.delete(id);
  };
}

export interface RuntimeParts {
  ports: Ports;
  settings: Settings;
  workerName: string;
  /** The queue that child jobs of a definition go to. */
  childQueue: (definition: ChildDefinition) => Queue;
  running: Map<string, RunningAttempt>;
  /** Told of each attempt that ended here. */
  onAttempt?: ((type: string, outcome: AttemptOutcome, ms: number) => void) | undefined;
}

/** The last progress of an attempt that is not in its row yet. */
export interface Told {
  unwritten: Progress | undefined;
}

/** Thrown to hand a job back to the queue until `ms` from now. */
export class Postponed extends Error {
  override name = 'Postponed';
  readonly ms: number;
  constructor(ms: number) {
    super(`to be tried again in ${ms} ms`);
    this.ms = ms;
  }
}

/** Thrown by writes of an attempt that a newer one has replaced. */
export class StaleAttempt extends Error {
  override name = 'StaleAttempt';
}

/** What the handler of a job works with, bound to one attempt. */
export function createContext(
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

  let currentStep = '';
  let fanOuts = 0;
  let beforeWaiting: (() => Promise<void>) | undefined;

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
    if (before?.status === 'done' || before?.status === 'skipped') {
      return before.output === null ? undefined : JSON.parse(before.output);
    }
    const position = before?.position ?? all.length;
    // One that has waited for child jobs began before they did.
    const startedAt = before?.status === 'pending' ? before.started_at : nowIso(clock);
    const put = (status: StepRow['status'], { output, evidence, record }: StepOutcome) =>
      write((tx) => {
        record?.(tx);
        const finishedAt = status === 'pending' ? null : nowIso(clock);
        tx.putStep({ jobId: id, name, position, status, output, evidence, startedAt, finishedAt, attempt });
      });
    beforeWaiting = () => put('pending', { evidence: {} });
    currentStep = name;
    fanOuts = 0;
    try {
      const outcome = await work();
      await put(outcome.status ?? 'done', outcome);
      log.info({ step: name }, `step ${name}: ${outcome.status ?? 'done'}`);
      return outcome.output;
    } catch (error) {
      const handedBack = error instanceof WaitingChildrenError || error instanceof Postponed;
      if (!(handedBack || error instanceof StaleAttempt || signal.aborted)) {
        const { code, message } = toDomainError(error);
        await put('failed', { evidence: { code, reason: maskText(message) } });
      }
      throw error;
    } finally {
      currentStep = '';
      fanOuts = 0;
      beforeWaiting = undefined;
    }
  }

  const children: JobContext['children'] = async (child, payloads) => {
    type Result = ChildOutcome<unknown>;
    fanOuts += 1;
    // Steps that are done are not run again, so a fan-out is told apart by its step and its place within it.
    const scope = `${id}.${currentStep}.${child.type}.${fanOuts}`;
    const childId = (index: number) => `${scope}.${index}`;
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
      await beforeWaiting?.();
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
    async run(job, payload, key) {
      const asked = { requestedBy: `job:${id}`, idempotencyKey: `${id}:${key}` };
      const { id: other } = await write((tx) => engine.insert(tx, job, payload, asked));
      engine.relay.kick();
      return resultOf(job, await engine.wait(other, { signal }));
    },
    async pace(account, perMinute) {
      const wait = await write((tx) => tx.takeTurn(id, account, perMinute, clock.now().getTime()));
      if (wait > 0) throw new Postponed(wait);
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
      .write((tx) =>
        tx.addLog(row.id, { attempt: row.attempt, at: nowIso(clock), level, message: maskText(message) }),
      )
      .catch((error: unknown) =>
        engine.log.warn({ err: error, job: row.id }, 'A line of the job log was not stored'),
      );
  };
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
}
