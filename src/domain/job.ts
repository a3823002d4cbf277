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

export function isFinal(state: JobState): boolean {
  return finalStates.includes(state);
}

/** What a job reports while it runs. `percent` is 0 to 100. */
export const progressSchema = z.object({ percent: z.number(), message: z.string() });
export type Progress = z.infer<typeof progressSchema>;

/**
 * A job row is the truth about a job: it is written before the queue hears of it and it outlives the queue.
 * `attempt` counts starts and fences writes; `starts` counts those of them that did not end in an orderly way, as after a kill;
 * `parked` counts those that ended in waiting for children, which are no attempts of their own to a person; `relayOwner` and `relayUntil` are the lease of the process that is
 * handing the row to the queue.
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
  },
  indexes: [{ properties: ['state', 'createdAt'] }, { properties: ['clientId', 'createdAt'] }],
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
