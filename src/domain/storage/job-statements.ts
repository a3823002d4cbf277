import type { ErrorShape } from '../errors.ts';
import type { AttemptOutcome, JobLog, JobState, Progress } from '../job.ts';
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
  /** Kind of work; see Policy. */
  queue: string;
  /** The client it counts for, or ''. */
  lane: string;
  /** Of the jobs with one key only one at a time is handed over. */
  serialKey: string | null;
}

export interface AttemptRow {
  attempt: number;
  worker: string;
  started_at: string;
  ended_at: string | null;
  outcome: AttemptOutcome | null;
  error: string | null;
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

export const jobColumns = `id, type, state, client_id, requested_by, payload, attempt, starts, parked, progress, result, error,
  created_at, queued_at, started_at, finished_at, cancel_requested_at`;

/** Job rows, their steps and logs. */
export function jobStatements(sql: Prepare) {
  /** Says of attempts that can speak no more how they ended. */
  function closeAttempts(id: string, outcome: AttemptOutcome, now: string): void {
    sql('update job_attempts set outcome = ?, ended_at = ? where job_id = ? and outcome is null').run(
      outcome,
      now,
      id,
    );
  }

  return {
    // Jobs: asking for them, looking at them

    /** Returns the id of the job that stands: the new one, or the one that has the idempotency key already. */
    insertJob(job: NewJob): { id: string; created: boolean } {
      const { changes } = sql(
        `insert into jobs (id, type, state, client_id, requested_by, idempotency_key, payload, created_at, queue,
           lane, serial_key)
         values (@id, @type, 'pending', @clientId, @requestedBy, @idempotencyKey, @payload, @createdAt, @queue,
           @lane, @serialKey)
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

    /** A finished job to be tried again by hand. The attempt number goes on, so that old attempts stay fenced. */
    retryJob(id: string): boolean {
      return (
        sql(
          `update jobs set state = 'pending', admitted = 0, starts = 0, result = null, error = null, progress = null,
             finished_at = null, cancel_requested_at = null, relay_owner = null, relay_until = null
           where id = ? and state in ('failed', 'cancelled', 'dead')`,
        ).run(id).changes === 1
      );
    },

    // Jobs: running

    /** Starts an attempt and returns the row with its new number; undefined where the job has ended already. */
    startAttempt(id: string, worker: string, now: string): JobRow | undefined {
      const row = sql(
        `update jobs set state = 'running', attempt = attempt + 1, starts = starts + 1, worker = @worker, admitted = 1,
           started_at = coalesce(started_at, @now), relay_owner = null, relay_until = null
         where id = @id and state in ('pending', 'queued', 'running')
         returning ${jobColumns}`,
      ).get({ id, worker, now }) as JobRow | undefined;
      if (!row) return undefined;
      // One that never said how it ended can say so no more.
      if (row.attempt > 1) closeAttempts(id, 'crashed', now);
      sql('insert into job_attempts (job_id, attempt, worker, started_at) values (?, ?, ?, ?)').run(
        id,
        row.attempt,
        worker,
        now,
      );
      return row;
    },

    /** Notes how an attempt ended; one that was believed crashed may come back to say so. */
    endAttempt(
      id: string,
      attempt: number,
      outcome: AttemptOutcome,
      error: ErrorShape | null,
      now: string,
    ): void {
      sql(
        `update job_attempts set outcome = ?, error = ?, ended_at = ?
         where job_id = ? and attempt = ? and (outcome is null or (outcome = 'crashed' and ? = 'replaced'))`,
      ).run(outcome, error ? JSON.stringify(error) : null, now, id, attempt, outcome);
    },

    attempts(id: string): AttemptRow[] {
      return sql(
        `select attempt, worker, started_at, ended_at, outcome, error from job_attempts where job_id = ? order by attempt`,
      ).all(id) as AttemptRow[];
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
          `update jobs set state = @state, admitted = 0, result = @result, error = @error, finished_at = @now
           where id = @id and attempt = @attempt and state = 'running'`,
        ).run({
          ...end,
          result: end.result === undefined ? null : JSON.stringify(end.result),
          error: end.error ? JSON.stringify(end.error) : null,
        }).changes === 1
      );
    },

    /** Notes why an attempt failed and leaves the job to the queue's next try; it holds no place until then. */
    requeueAttempt(id: string, attempt: number, error: ErrorShape | null): void {
      sql(
        `update jobs set state = 'queued', admitted = 0, starts = starts - 1, error = @error
         where id = @id and attempt = @attempt and state = 'running'`,
      ).run({ id, attempt, error: error ? JSON.stringify(error) : null });
    },

    /** Gives an attempt back that was cut short through no doing of the job's; it keeps its place. */
    releaseAttempt(id: string, attempt: number): void {
      sql(
        `update jobs set state = 'queued', starts = starts - 1, parked = parked + 1
         where id = ? and attempt = ? and state = 'running'`,
      ).run(id, attempt);
    },

    /**
     * Notes that a start ended in waiting for children, during which the job uses no place. They may have ended, and
     * the next attempt begun, before this is written.
     */
    parkAttempt(id: string, attempt: number): void {
      sql(
        `update jobs set parked = parked + 1, starts = starts - 1,
           admitted = case when attempt = @attempt and state = 'running' then 2 else admitted end
         where id = @id`,
      ).run({ id, attempt });
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
      const cancelled =
        sql(
          `update jobs set state = 'cancelled', admitted = 0, attempt = attempt + 1, error = @error, finished_at = @now
           where id = @id and (state in ('pending', 'queued') or (@evenRunning = 1 and state = 'running'))`,
        ).run({ id, error: JSON.stringify(error), now, evenRunning: evenRunning ? 1 : 0 }).changes === 1;
      if (cancelled) closeAttempts(id, 'cancelled', now);
      return cancelled;
    },

    isCancelRequested(id: string): boolean {
      return sql('select 1 from jobs where id = ? and cancel_requested_at is not null').get(id) !== undefined;
    },

    /** Ends a job from outside of any attempt: the queue gave it up. */
    buryJob(id: string, attempt: number, error: ErrorShape, now: string): boolean {
      const buried =
        sql(
          `update jobs set state = 'dead', admitted = 0, error = @error, finished_at = @now
           where id = @id and attempt = @attempt and state in ('queued', 'running')`,
        ).run({ id, attempt, error: JSON.stringify(error), now }).changes === 1;
      if (buried) closeAttempts(id, 'crashed', now);
      return buried;
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
