import type { Status } from '../check/check.ts';
import type { Prepare } from './statements.ts';

/** How a checked thing stands, as plain SQL gives it: JSON still as text, flags as 0 and 1. */
export interface StateRow {
  id: number;
  client_id: string;
  device_id: string;
  check_name: string;
  instance: string;
  status: Status;
  hard: Status;
  tries: number;
  since: string;
  at: string;
  hold_until: string;
  message: string;
  vals: string;
  limits: string | null;
  ms: number;
  changes: number;
  flapping: number;
  unreachable: number;
  known: number;
  span_from: number;
  retired_at: string | null;
  alert_id: string | null;
}

export interface RunRow {
  at: number;
  data: Buffer;
}

export interface SpanRow {
  state_id: number;
  from_ms: number;
  until_ms: number;
  status: string;
  message: string;
}

const stateColumns = `id, client_id, device_id, check_name, instance, status, hard, tries, since, at, hold_until, message, vals,
  limits, ms, changes, flapping, unreachable, known, span_from, retired_at, alert_id`;

/** What is checked, how it stands, and the raw results. */
export function checkStatements(sql: Prepare) {
  return {
    /** Every state of a client, retired ones included, in the order in which they came up. */
    statesOf(clientId: string): StateRow[] {
      return sql(`select ${stateColumns} from check_states where client_id = ? order by id`).all(
        clientId,
      ) as StateRow[];
    },

    state(id: number): StateRow | undefined {
      return sql(`select ${stateColumns} from check_states where id = ?`).get(id) as StateRow | undefined;
    },

    /** Adds a state and answers with its id. */
    addState(row: Omit<StateRow, 'id'>): number {
      return Number(
        sql(
          `insert into check_states (client_id, device_id, check_name, instance, status, hard, tries, since, at, hold_until,
             message, vals, limits, ms, changes, flapping, unreachable, known, span_from, retired_at, alert_id)
           values (@client_id, @device_id, @check_name, @instance, @status, @hard, @tries, @since, @at, @hold_until,
             @message, @vals, @limits, @ms, @changes, @flapping, @unreachable, @known, @span_from, @retired_at, @alert_id)`,
        ).run(row).lastInsertRowid,
      );
    },

    putState(r: StateRow): void {
      sql(
        `update check_states set status = ?, hard = ?, tries = ?, since = ?, at = ?, hold_until = ?, message = ?, vals = ?,
           limits = ?, ms = ?, changes = ?, flapping = ?, unreachable = ?, known = ?, span_from = ?, retired_at = ?,
           alert_id = ?
         where id = ?`,
      ).run(
        r.status,
        r.hard,
        r.tries,
        r.since,
        r.at,
        r.hold_until,
        r.message,
        r.vals,
        r.limits,
        r.ms,
        r.changes,
        r.flapping,
        r.unreachable,
        r.known,
        r.span_from,
        r.retired_at,
        r.alert_id,
        r.id,
      );
    },

    /** Notes a result that changed nothing about how the thing stands. */
    touchState(r: StateRow): void {
      sql('update check_states set at = ?, hold_until = ?, message = ?, vals = ?, ms = ? where id = ?').run(
        r.at,
        r.hold_until,
        r.message,
        r.vals,
        r.ms,
        r.id,
      );
    },

    /** Lets go of the alert of a state; it has to turn bad anew, try by try, before it raises another. */
    releaseState(alertId: string): void {
      sql(`update check_states set alert_id = null, hard = 'healthy', tries = 0 where alert_id = ?`).run(
        alertId,
      );
    },

    addSpan(stateId: number, fromMs: number, untilMs: number, status: string, message: string): void {
      if (untilMs <= fromMs) return;
      sql(
        `insert into state_spans (state_id, from_ms, until_ms, status, message) values (?, ?, ?, ?, ?)
         on conflict (state_id, from_ms) do update set until_ms = excluded.until_ms, status = excluded.status,
           message = excluded.message`,
      ).run(stateId, fromMs, untilMs, status, message);
    },

    /** Closed stretches of a client's things that overlap a half-open period, in order; of one device, if given. */
    spansBetween(clientId: string, deviceId: string | null, fromMs: number, toMs: number): SpanRow[] {
      return sql(
        `select p.state_id, p.from_ms, p.until_ms, p.status, p.message
         from check_states s join state_spans p on p.state_id = s.id
         where s.client_id = @clientId and (@deviceId is null or s.device_id = @deviceId)
           and p.from_ms < @toMs and p.until_ms > @fromMs
         order by p.state_id, p.from_ms`,
      ).all({ clientId, deviceId, fromMs, toMs }) as SpanRow[];
    },

    /**
     * Whether the run that began at `at` was recorded before, as when an attempt crashed after it had; then nothing must
     * be derived from it a second time.
     */
    isRecorded(jobId: string, part: number, at: number): boolean {
      return (
        sql('select 1 from check_runs where job_id = ? and part = ? and at >= ?').get(jobId, part, at) !==
        undefined
      );
    },

    /** Stores the raw results of a part of a run, in the place of those of an earlier try. */
    putRun(jobId: string, part: number, clientId: string, at: number, data: Buffer): void {
      sql(
        `insert into check_runs (job_id, part, client_id, at, data) values (?, ?, ?, ?, ?)
         on conflict (job_id, part) do update set at = excluded.at, data = excluded.data`,
      ).run(jobId, part, clientId, at, data);
    },

    runOfJob(jobId: string, part: number): RunRow[] {
      return sql('select at, data from check_runs where job_id = ? and part = ?').all(
        jobId,
        part,
      ) as RunRow[];
    },

    runsOfJob(jobId: string): RunRow[] {
      return sql('select at, data from check_runs where job_id = ? order by part').all(jobId) as RunRow[];
    },

    /** Raw runs over a client that began in a half-open period, oldest first. */
    runsBetween(clientId: string, fromMs: number, toMs: number): RunRow[] {
      return sql(
        'select at, data from check_runs where client_id = ? and at >= ? and at < ? order by at, job_id, part',
      ).all(clientId, fromMs, toMs) as RunRow[];
    },

    /** Every raw run there is. */
    runRows(): (RunRow & { job_id: string })[] {
      return sql('select job_id, at, data from check_runs order by job_id, part').all() as (RunRow & {
        job_id: string;
      })[];
    },

    /** Devices of clients that are not at rest whose newest result ceased to count before `before`. */
    silentDevices(before: string): { client_id: string; device_id: string; until: string }[] {
      return sql(
        `select s.client_id, s.device_id, max(s.hold_until) as until
         from check_states s join clients c on c.id = s.client_id
         where s.retired_at is null and s.known = 1 and c.status not in ('inactive', 'suspended')
         group by s.device_id having max(s.hold_until) < ?`,
      ).all(before) as { client_id: string; device_id: string; until: string }[];
    },

    /** How many clients' things stand how, at `now`. What has not been measured for too long counts as unknown. */
    standings(
      now: string,
    ): { client_id: string; status: Status; unreachable: number; n: number; at: string }[] {
      return sql(
        `select client_id, case when hold_until < @now then 'unknown' else status end as status, unreachable,
           count(*) as n, max(at) as at
         from check_states where retired_at is null
         group by 1, 2, 3`,
      ).all({ now }) as { client_id: string; status: Status; unreachable: number; n: number; at: string }[];
    },
  };
}
