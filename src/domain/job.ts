import { defineEntity, p } from '@mikro-orm/sqlite';
import { z } from 'zod';
import { DomainError, type ErrorShape } from './errors.ts';

export const jobStates = [
  'pending',
  'queued',
  'running',
  'succeeded',
  'failed',
  'cancelled',
  'dead',
] as const;
export type JobState = (typeof jobStates)[number];

/** States that a job does not leave by itself. */
export const finalStates: readonly JobState[] = ['succeeded', 'failed', 'cancelled', 'dead'];

/** States of a job that may be tried again by hand. */
export const retryStates = ['failed', 'cancelled', 'dead'] as const satisfies readonly JobState[];
export type RetryState = (typeof retryStates)[number];

export function isFinal(state: JobState): boolean {
  return finalStates.includes(state);
}

/** How many jobs of a type may be handed to the queue at a time, over all workers, and for each client. */
export const jobLimitsSchema = z.strictObject({
  atOnce: z.int().min(1).optional(),
  perClient: z.int().min(1).optional(),
});

/** No job is forgotten before; an idempotency key holds for at least as long. */
export const shortestKeepDays = 7;

/** What a job reports while it runs. `percent` is 0 to 100. */
export const progressSchema = z.object({ percent: z.number(), message: z.string() });
export type Progress = z.infer<typeof progressSchema>;

/** Whether a job holds a place in its queue: not at all, yes, or waiting for child jobs without using it. */
export const admission = { none: 0, placed: 1, parked: 2 } as const;

/**
 * A job row is the truth about a job: it is written before the queue hears of it and it outlives the queue.
 *
 * `attempt` counts starts and fences writes; `starts` counts those of them that did not end in an orderly way, as after
 * a kill; `parked` counts those that were no attempts to a person: they ended in waiting for children, say. `queue`,
 * `lane` (the client it counts for) and `admitted` decide when it is handed to the queue; of those with one `serialKey`
 * only one at a time is. `turnAt` is its turn with an account that limits the rate. `relayOwner` and `relayUntil` are the lease of the process that is handing it over.
 */
export const JobEntity = defineEntity({
  name: 'Job',
  tableName: 'jobs',
  properties: {
    id: p.string().primary(),
    type: p.string(),
    state: p.string().$type<JobState>(),
    clientId: p.string().nullable(),
    requestedBy: p.string(),
    idempotencyKey: p.string().nullable().unique(),
    payload: p.json<unknown>(),
    attempt: p.integer().default(0),
    starts: p.integer().default(0),
    parked: p.integer().default(0),
    progress: p.json<Progress>().nullable(),
    result: p.json<unknown>().nullable(),
    error: p.json<ErrorShape>().nullable(),
    worker: p.string().nullable(),
    createdAt: p.string(),
    queuedAt: p.string().nullable(),
    startedAt: p.string().nullable(),
    finishedAt: p.string().nullable(),
    cancelRequestedAt: p.string().nullable(),
    relayOwner: p.string().nullable(),
    relayUntil: p.string().nullable(),
    queue: p.string().default('general'),
    lane: p.string().default(''),
    serialKey: p.string().nullable(),
    admitted: p.integer().$type<(typeof admission)[keyof typeof admission]>().default(0),
    turnAt: p.string().nullable(),
  },
  indexes: [
    { properties: ['state', 'createdAt'] },
    { properties: ['clientId', 'createdAt'] },
    { properties: ['queue', 'state', 'admitted', 'lane', 'type', 'createdAt'] },
    { properties: ['serialKey', 'state'] },
    { properties: ['finishedAt'] },
    { properties: ['createdAt'] },
  ],
});

/** When a lane was last given a place in a queue, as a running number: of lanes that hold as much, the first goes next. */
export const LaneEntity = defineEntity({
  name: 'Lane',
  tableName: 'lanes',
  properties: { queue: p.string().primary(), lane: p.string().primary(), turn: p.integer() },
});

/**
 * How an attempt ended. `parked` waits for child jobs; `released` was cut short by a shutdown; `postponed` had to wait for
 * a rate limit; `crashed` never said a word again; `replaced` lost its lock to a newer one.
 */
export const attemptOutcomes = [
  'succeeded',
  'failed',
  'timed-out',
  'cancelled',
  'parked',
  'released',
  'postponed',
  'crashed',
  'replaced',
] as const;
export type AttemptOutcome = (typeof attemptOutcomes)[number];

/** One start of a job: when, where, and how it ended. */
export const JobAttemptEntity = defineEntity({
  name: 'JobAttempt',
  tableName: 'job_attempts',
  properties: {
    job: () => p.manyToOne(JobEntity).mapToPk().primary().deleteRule('cascade').index(false),
    attempt: p.integer().primary(),
    worker: p.string(),
    startedAt: p.string(),
    endedAt: p.string().nullable(),
    outcome: p.string().$type<AttemptOutcome>().nullable(),
    error: p.json<ErrorShape>().nullable(),
  },
});

/** A step of a workflow, stored in the transaction of its effect; `pending` while it waits for child jobs. */
export const JobStepEntity = defineEntity({
  name: 'JobStep',
  tableName: 'job_steps',
  properties: {
    job: () => p.manyToOne(JobEntity).mapToPk().primary().deleteRule('cascade').index(false),
    name: p.string().primary(),
    position: p.integer(),
    status: p.string().$type<'pending' | 'done' | 'skipped' | 'failed'>(),
    output: p.json<unknown>().nullable(),
    evidence: p.json<Record<string, unknown>>(),
    startedAt: p.string(),
    finishedAt: p.string().nullable(),
    attempt: p.integer(),
  },
});

export const JobLogEntity = defineEntity({
  name: 'JobLog',
  tableName: 'job_logs',
  properties: {
    id: p.integer().primary().autoincrement(),
    job: () => p.manyToOne(JobEntity).mapToPk().deleteRule('cascade').index(false),
    attempt: p.integer(),
    at: p.string(),
    level: p.string(),
    message: p.string(),
  },
  indexes: [{ properties: ['job', 'id'] }],
});

const errorShapeSchema = z.object({
  code: z.string(),
  message: z.string(),
  details: z.record(z.string(), z.unknown()),
  hint: z.string().optional(),
});

export const jobSchema = z.object({
  id: z.string(),
  type: z.string(),
  state: z.enum(jobStates),
  clientId: z.string().nullable(),
  requestedBy: z.string(),
  attempts: z.number(),
  progress: progressSchema.nullable(),
  payload: z.unknown(),
  result: z.unknown(),
  error: errorShapeSchema.nullable(),
  createdAt: z.string(),
  startedAt: z.string().nullable(),
  finishedAt: z.string().nullable(),
});
export type Job = z.infer<typeof jobSchema>;

export const jobStepSchema = z.object({
  name: z.string(),
  status: z.enum(['done', 'skipped', 'failed', 'pending']),
  evidence: z.record(z.string(), z.unknown()),
  startedAt: z.string().nullable(),
  finishedAt: z.string().nullable(),
});
export type JobStep = z.infer<typeof jobStepSchema>;

export const jobAttemptSchema = z.object({
  attempt: z.number(),
  worker: z.string(),
  startedAt: z.string(),
  endedAt: z.string().nullable(),
  outcome: z.enum(attemptOutcomes).nullable().describe('null while it runs'),
  error: errorShapeSchema.nullable(),
});
export type JobAttempt = z.infer<typeof jobAttemptSchema>;

export interface JobLog {
  attempt: number;
  at: string;
  level: string;
  message: string;
}

export function jobNotFound(id: string): DomainError {
  return new DomainError('JOB_NOT_FOUND', `There is no job with the id "${id}".`, {
    details: { jobId: id },
    hint: 'See the ids with: msp-toolkit job list',
  });
}
