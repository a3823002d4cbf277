import type { ErrorShape } from '../errors.ts';
import type { JobLog, JobState, Progress } from '../job.ts';
import type { Prepare } from './statements.ts';

/** A job row as plain SQL gives it: JSON still as text. */
export interface JobRow {
  id: string;
  type: string;
  state: JobState;
  client_id: string | null;
  requested_by: string;
  payload: string;
  attempt: number;
  starts: number;
  parked: number;
  progress: string | null;
  result: string | null;
  error: string | null;
  created_at: string;
  queued_at: string | null;
  started_at: string | null;
  finished_at: string | null;
  cancel_requested_at: string | null;
}

export interface NewJob {
  id: string;
  type: string;
  clientId: string | null;
  requestedBy: string;
  idempotencyKey: string | null;
  payload: unknown;
  createdAt: string;
  relayOwner: string | null;
  relayUntil: string | null;
}

export interface StepRow {
  name: string;
  position: number;
  status: 'pending' | 'done' | 'skipped' | 'failed';
  output: string | null;
  evidence: string;
  started_at: string;
  finished_at: string | null;
}

const jobColumns = `id, type, state, client_id, requested_by, payload, attempt, starts, parked, progress, result, error,
  created_at, queued_at, started_at, finished_at, cancel_requested_at`;

/** Job rows, their steps and logs. */
export function jobStatements(sql: Prepare) {
  return {
    // Jobs: submitting and handing over

    /** Returns the id of the job that stands: the new one, or the one that has the idempotency key already. */
    insertJob(job: NewJob): { id: string; created: boolean } {
      const { changes } = sql(
        `insert into jobs (id, type, state, client_id, requested_by, idempotency_key, payload, created_at,
           relay_owner, relay_until)
         values (@id, @type, 'pending', @clientId, @requestedBy, @idempotencyKey, @payload, @createdAt,
           @relayOwner, @relayUntil)
         on conflict (idempotency_key) do nothing`,
      ).run({ ...job, payload: JSON.stringify(job.payload) });
      if (changes === 1) return { id: job.id, created: true };
      const id = sql('select id from jobs where idempotency_key = ?')
        .pluck()
        .get(job.idempotencyKey) as string;
      return { id, created: false };
    },

    job(id: string): JobRow | undefined {
      return sql(`select ${jobColumns} from jobs where id = ?`).get(id) as JobRow | undefined;
    },

    jobs(filter: {
      state?: string | undefined;
      type?: string | undefined;
      clientId?: string | undefined;
      limit: number;
    }): JobRow[] {
      const { state = null, type = null, clientId = null, limit } = filter;
      return sql(
        `select ${jobColumns} from jobs
         where (@state is null or state = @state) and (@type is null or type = @type)
           and (@clientId is null or client_id = @clientId)
         order by created_at desc, id desc limit @limit`,
      ).all({ state, type, clientId, limit }) as JobRow[];
    },

    countJobs(): Record<string, number> {
      const rows = sql('select state, count(*) as n from jobs group by state').all() as {
        state: string;
        n: number;
      }[];
      return Object.fromEntries(rows.map((row) => [row.state, row.n]));
    },

    /** Whether a row of one of these types waits to be handed over. */
    hasPending(types: readonly string[]): boolean {
      const list = types.map(() => '?').join(', ');
      return (
        sql(`select 1 from jobs where state = 'pending' and type in (${list}) limit 1`).get(types) !==
        undefined
      );
    },

    /** Leases pending rows of these types to `owner`; those under another's running lease are left alone. */
    leasePending(
      owner: string,
      types: readonly string[],
      now: string,
      until: string,
      limit: number,
    ): JobRow[] {
      const list = types.map(() => '?').join(', ');
      return sql(
        `update jobs set relay_owner = ?, relay_until = ?
         where id in (
           select id from jobs
           where state = 'pending' and type in (${list}) and (relay_until is null or relay_until <= ? or relay_owner = ?)
           order by created_at, id limit ?)
         returning ${jobColumns}`,
      ).all(owner, until, ...types, now, owner, limit) as JobRow[];
    },

    markQueued(id: string, now: string): void {
      sql(
        `update jobs set state = 'queued', queued_at = @now, relay_owner = null, relay_until = null
         where id = @id and state = 'pending'`,
      ).run({ id, now });
    },

    /**
     * Rows that were handed over some time ago and have not ended, by id from `after` on; the queue is asked whether
     * it still has them.
     */
    unfinishedBefore(
      before: string,
      after: string,
      limit: number,
    ): { id: string; type: string; state: JobState; attempt: number }[] {
      return sql(
        `select id, type, state, attempt from jobs
         where state in ('queued', 'running') and coalesce(started_at, queued_at) < ? and id > ?
         order by id limit ?`,
      ).all(before, after, limit) as { id: string; type: string; state: JobState; attempt: number }[];
    },

    /** Back to the outbox, if nothing has happened to the row since it was looked at. */
    returnToPending(id: string, attempt: number): boolean {
      return (
        sql(
          `update jobs set state = 'pending', relay_owner = null, relay_until = null
           where id = @id and attempt = @attempt and state in ('queued', 'running')`,
        ).run({ id, attempt }).changes === 1
      );
    },

    /** A finished job to be tried again by hand. The attempt number goes on, so that old attempts stay fenced. */
    retryJob(id: string): boolean {
      return (
        sql(
          `update jobs set state = 'pending', starts = 0, result = null, error = null, progress = null, finished_at = null,
             cancel_requested_at = null, relay_owner = null, relay_until = null
           where id = ? and state in ('failed', 'cancelled', 'dead')`,
        ).run(id).changes === 1
      );
    },

    // Jobs: running

    /** Starts an attempt and returns the row with its new number; undefined where the job has ended already. */
    startAttempt(id: string, worker: string, now: string): JobRow | undefined {
      return sql(
        `update jobs set state = 'running', attempt = attempt + 1, starts = starts + 1, worker = @worker,
           started_at = coalesce(started_at, @now), relay_owner = null, relay_until = null
         where id = @id and state in ('pending', 'queued', 'running')
         returning ${jobColumns}`,
      ).get({ id, worker, now }) as JobRow | undefined;
    },

    /** Whether `attempt` is the newest one and may still write. */
    isCurrent(id: string, attempt: number): boolean {
      return (
        sql(`select 1 from jobs where id = ? and attempt = ? and state = 'running'`).get(id, attempt) !==
        undefined
      );
    },

    /** Ends the job; false where the attempt is stale, which then must not leave anything behind. */
    finishJob(end: {
      id: string;
      attempt: number;
      state: JobState;
      result: unknown;
      error: ErrorShape | null;
      now: string;
    }): boolean {
      return (
        sql(
          `update jobs set state = @state, result = @result, error = @error, finished_at = @now
           where id = @id and attempt = @attempt and state = 'running'`,
        ).run({
          ...end,
          result: end.result === undefined ? null : JSON.stringify(end.result),
          error: end.error ? JSON.stringify(end.error) : null,
        }).changes === 1
      );
    },

    /** Notes why an attempt ended and leaves the job to the queue's next try. */
    requeueAttempt(id: string, attempt: number, error: ErrorShape | null): void {
      sql(
        `update jobs set state = 'queued', starts = starts - 1, error = @error
         where id = @id and attempt = @attempt and state = 'running'`,
      ).run({ id, attempt, error: error ? JSON.stringify(error) : null });
    },

    /** Gives an attempt back that a shutdown cut short: it was none of the job's doing. */
    releaseAttempt(id: string, attempt: number): void {
      sql(
        `update jobs set state = 'queued', starts = starts - 1, parked = parked + 1
         where id = ? and attempt = ? and state = 'running'`,
      ).run(id, attempt);
    },

    /** Notes that a start ended in waiting for children. */
    noteParked(id: string): void {
      sql('update jobs set parked = parked + 1, starts = starts - 1 where id = ?').run(id);
    },

    setProgress(id: string, attempt: number, progress: Progress): void {
      sql(
        `update jobs set progress = @progress where id = @id and attempt = @attempt and state = 'running'`,
      ).run({
        id,
        attempt,
        progress: JSON.stringify(progress),
      });
    },

    /** Notes the wish to cancel; true where there was still something to cancel. */
    requestCancel(id: string, now: string): boolean {
      return (
        sql(
          `update jobs set cancel_requested_at = coalesce(cancel_requested_at, @now)
           where id = @id and state in ('pending', 'queued', 'running')`,
        ).run({ id, now }).changes === 1
      );
    },

    /** Ends a job that nobody is running. The attempt number is raised, so that a late start can't write. */
    cancelIdle(id: string, error: ErrorShape, now: string, evenRunning: boolean): boolean {
      return (
        sql(
          `update jobs set state = 'cancelled', attempt = attempt + 1, error = @error, finished_at = @now
           where id = @id and (state in ('pending', 'queued') or (@evenRunning = 1 and state = 'running'))`,
        ).run({ id, error: JSON.stringify(error), now, evenRunning: evenRunning ? 1 : 0 }).changes === 1
      );
    },

    isCancelRequested(id: string): boolean {
      return sql('select 1 from jobs where id = ? and cancel_requested_at is not null').get(id) !== undefined;
    },

    /** Ends a job from outside of any attempt: the queue gave it up. */
    buryJob(id: string, attempt: number, error: ErrorShape, now: string): boolean {
      return (
        sql(
          `update jobs set state = 'dead', error = @error, finished_at = @now
           where id = @id and attempt = @attempt and state in ('queued', 'running')`,
        ).run({ id, attempt, error: JSON.stringify(error), now }).changes === 1
      );
    },

    // Steps and logs

    steps(jobId: string): StepRow[] {
      return sql(
        `select name, position, status, output, evidence, started_at, finished_at from job_steps
         where job_id = ? order by position`,
      ).all(jobId) as StepRow[];
    },

    putStep(step: {
      jobId: string;
      name: string;
      position: number;
      status: StepRow['status'];
      output: unknown;
      evidence: Record<string, unknown>;
      startedAt: string;
      finishedAt: string | null;
      attempt: number;
    }): void {
      sql(
        `insert into job_steps (job_id, name, position, status, output, evidence, started_at, finished_at, attempt)
         values (@jobId, @name, @position, @status, @output, @evidence, @startedAt, @finishedAt, @attempt)
         on conflict (job_id, name) do update set status = excluded.status, output = excluded.output,
           evidence = excluded.evidence, started_at = excluded.started_at, finished_at = excluded.finished_at,
           attempt = excluded.attempt
         where excluded.attempt >= job_steps.attempt`,
      ).run({
        ...step,
        output: step.output === undefined ? null : JSON.stringify(step.output),
        evidence: JSON.stringify(step.evidence),
      });
    },

    addLog(jobId: string, log: JobLog): void {
      sql(
        `insert into job_logs (job_id, attempt, at, level, message) values (@jobId, @attempt, @at, @level, @message)`,
      ).run({ jobId, ...log });
    },

    logs(jobId: string, after = 0): (JobLog & { id: number })[] {
      return sql(
        'select id, attempt, at, level, message from job_logs where job_id = ? and id > ? order by id',
      ).all(jobId, after) as (JobLog & { id: number })[];
    },
  };
}
