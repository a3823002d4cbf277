import type { z } from 'zod';
import type { Clock } from '../../domain/clock.ts';
import type { Log } from '../../domain/log.ts';
import { DomainError, type ErrorShape } from '../../domain/errors.ts';
import type { jobLimitsSchema, JobState } from '../../domain/job.ts';
import type { Ports } from '../../domain/ports.ts';
import type { Settings } from '../../domain/settings.ts';
import type { Statements } from '../../domain/storage/statements.ts';
import type { Storage } from '../../domain/storage/storage.ts';

/** Queues are cut by kind of work, so that a slow browser delays no health check. */
export const queueNames = ['general', 'probe', 'render', 'mail'] as const;
export type QueueName = (typeof queueNames)[number];

/** Places a queue has in one process. Chromium is heavy, mail servers dislike crowds, probes mostly wait. */
export const defaultPlaces: Record<QueueName, number> = { general: 10, probe: 8, render: 2, mail: 4 };

export type JobLimits = z.infer<typeof jobLimitsSchema>;

/** How a job type is treated: where it runs, how often it is tried, how much of it at a time. */
export interface Policy extends JobLimits {
  queue: QueueName;
  /** Tries that may fail before the job is dead; crashes don't count. */
  attempts: number;
  /** First delay in ms; doubles with each failure, half of it random. */
  backoffMs: number;
  timeoutMs: number;
  /**
   * Done so often that its row is soon of no interest: once it succeeded it is kept for two days, and when a schedule or
   * another job asked for it, it leaves no entry in the audit trail.
   */
  routine?: boolean;
}

export interface StepOutcome {
  status?: 'done' | 'skipped';
  /** Kept for later steps; must survive JSON. */
  output?: unknown;
  /** What a person can check afterwards: ids, counts, reasons. */
  evidence: Record<string, unknown>;
  /** The step's effect on the database, committed together with the step. */
  record?: (tx: Statements) => void;
}

export interface ChildOutcome<R> {
  /** undefined where the child failed for good. */
  result: R | undefined;
  error: string | undefined;
}

/** What every handler gets. */
export interface BaseContext {
  log: Log;
  /** Aborted on cancel, timeout, shutdown and a lost lock. */
  signal: AbortSignal;
  clock: Clock;
  ports: Ports;
}

/** What the handler of a job gets. */
export interface JobContext extends BaseContext {
  job: { id: string; type: string; attempt: number; requestedBy: string };
  storage: Storage;
  settings: Settings;
  /** @param percent 0 to 100 */
  progress(percent: number, message: string): void;
  /** A group-committed write that only the newest attempt may make. */
  write<T>(work: (tx: Statements) => T): Promise<T>;
  /** Runs `work` once in the life of the job: a later attempt gets the stored output instead. */
  step(name: string, work: () => Promise<StepOutcome>): Promise<unknown>;
  /**
   * Fans out to child jobs and comes back with one outcome per payload, in order. The handler gives up its place
   * meanwhile and is run again from the top when all children have ended, so what stands before this call must
   * bear being done twice.
   */
  children<P extends z.ZodType, R extends z.ZodType>(
    child: ChildDefinition<P, R>,
    payloads: z.infer<P>[],
  ): Promise<ChildOutcome<z.infer<R>>[]>;
  /**
   * Asks for another job, once however often this is reached, and waits for its end. Throws its error if it fails.
   */
  run<P extends z.ZodType, R extends z.ZodType>(
    job: JobDefinition<P, R>,
    payload: z.input<P>,
    key: string,
  ): Promise<z.infer<R>>;
  /**
   * Keeps to the rate limit of an account with another party, whose turns all processes share: goes on when it is the
   * job's, or else hands the job back to the queue until then, which uses up no try. Once in a handler, first thing.
   */
  pace(account: string, perMinute: number): Promise<void>;
  /** Adds a job to the transaction of `record`; it starts once that is committed. Returns its id. */
  enqueue<P extends z.ZodType, R extends z.ZodType>(
    tx: Statements,
    job: JobDefinition<P, R>,
    payload: z.input<P>,
  ): string;
}

/** A job's result and what it leaves in the database; both are committed together, by the newest attempt alone. */
export interface Outcome<R> {
  result: R;
  record?: (tx: Statements) => void;
}

export interface JobDefinition<
  P extends z.ZodType = z.ZodType,
  R extends z.ZodType = z.ZodType,
> extends Policy {
  kind: 'job';
  type: string;
  payload: P;
  result: R;
  run(context: JobContext, payload: z.infer<P>): Promise<Outcome<z.infer<R>>>;
  /** Sets right what the handler had begun, in the transaction in which the job fails, dies or is cancelled. */
  abandon?(tx: Statements, job: AbandonedJob): void;
}

/** A job that ended without success. */
export interface AbandonedJob {
  id: string;
  state: JobState;
  error: ErrorShape | null;
  /** When it ended. */
  at: string;
}

/** A child job has no row and no database: it may run on a machine that reaches Redis alone. */
export interface ChildDefinition<
  P extends z.ZodType = z.ZodType,
  R extends z.ZodType = z.ZodType,
> extends Policy {
  kind: 'child';
  type: string;
  payload: P;
  result: R;
  run(context: BaseContext, payload: z.infer<P>): Promise<z.infer<R>>;
}

/** Declares a job type. The handler is passed apart from the schemas so that its literals are not widened. */
export function defineJob<P extends z.ZodType, R extends z.ZodType>(
  spec: Omit<JobDefinition<P, R>, 'kind' | 'run'>,
  run: JobDefinition<P, R>['run'],
): JobDefinition<P, R> {
  return { kind: 'job', ...spec, run };
}

/** Declares a child job type. */
export function defineChild<P extends z.ZodType, R extends z.ZodType>(
  spec: Omit<ChildDefinition<P, R>, 'kind' | 'run'>,
  run: ChildDefinition<P, R>['run'],
): ChildDefinition<P, R> {
  return { kind: 'child', ...spec, run };
}

/** The job types that an engine knows. */
export interface Registry {
  any(type: string): JobDefinition | ChildDefinition | undefined;
  /** A type that people, agents and schedules may start. */
  job(type: string): JobDefinition | undefined;
  jobTypes(): string[];
}

export function createRegistry(definitions: readonly (JobDefinition | ChildDefinition)[]): Registry {
  const byType = new Map(definitions.map((definition) => [definition.type, definition]));
  return {
    any: (type) => byType.get(type),
    job(type) {
      const found = byType.get(type);
      return found?.kind === 'job' ? found : undefined;
    },
    jobTypes: () => definitions.filter(({ kind }) => kind === 'job').map(({ type }) => type),
  };
}

/** The definition of a job type. Throws JOB_TYPE_UNKNOWN, naming those there are. */
export function requireJobType(registry: Registry, type: string): JobDefinition {
  const definition = registry.job(type);
  if (definition) return definition;
  throw new DomainError('JOB_TYPE_UNKNOWN', `There is no job type "${type}".`, {
    details: { type, known: registry.jobTypes() },
    hint: `Known are: ${registry.jobTypes().join(', ')}.`,
  });
}
