import type { JobState } from '../job.ts';
import type { Misfire, Overlap, ScheduleSource, SlotOutcome } from '../schedule.ts';
import type { Prepare } from './statements.ts';

export interface ScheduleRow {
  id: string;
  name: string;
  cron: string;
  timezone: string;
  job_type: string;
  payload: string;
  misfire: Misfire;
  misfire_window_seconds: number;
  overlap: Overlap;
  jitter_seconds: number;
  paused: number;
  source: ScheduleSource;
  cursor: string;
  next_at: string | null;
  last_run_at: string | null;
  created_at: string;
  updated_at: string;
}

export interface SlotRow {
  slot: string;
  until: string;
  count: number;
  outcome: SlotOutcome;
  reason: string | null;
  job_id: string | null;
  job_state: JobState | null;
  at: string;
}

const columns = `id, name, cron, timezone, job_type, payload, misfire, misfire_window_seconds, overlap, jitter_seconds,
  paused, source, cursor, next_at, last_run_at, created_at, updated_at`;

/** Schedules and what became of their slots. */
export function scheduleStatements(sql: Prepare) {
  return {
    schedules(): ScheduleRow[] {
      return sql(`select ${columns} from schedules order by name`).all() as ScheduleRow[];
    },

    schedule(id: string): ScheduleRow | undefined {
      return sql(`select ${columns} from schedules where id = ?`).get(id) as ScheduleRow | undefined;
    },

    scheduleNamed(name: string): ScheduleRow | undefined {
      return sql(`select ${columns} from schedules where name = ?`).get(name) as ScheduleRow | undefined;
    },

    /** The schedule that made somebody ask for a job, also by way of another job. */
    scheduleBehind(requestedBy: string): ScheduleRow | undefined {
      const [kind, ...rest] = requestedBy.split(':');
      if (kind === 'schedule') return this.scheduleNamed(rest.join(':'));
      if (kind !== 'job') return undefined;
      const asker = sql('select requested_by from jobs where id = ?').pluck().get(rest.join(':'));
      return typeof asker === 'string' && asker.startsWith('schedule:')
        ? this.scheduleBehind(asker)
        : undefined;
    },

    /** Ids of schedules with a slot that has come due, those due first first. */
    dueSchedules(now: string, limit: number): string[] {
      return sql('select id from schedules where next_at <= ? order by next_at limit ?')
        .pluck()
        .all(now, limit) as string[];
    },

    /** When the next slot of any schedule is due. */
    nextDue(): string | null {
      return sql('select min(next_at) from schedules').pluck().get() as string | null;
    },

    /** Changes whenever a schedule is added, changed or removed. */
    schedulesRevision(): string {
      return sql(`select count(*) || ' ' || coalesce(max(updated_at), '') from schedules`)
        .pluck()
        .get() as string;
    },

    /** Adds the schedule, or overwrites all of the one with its id. */
    putSchedule(row: ScheduleRow): void {
      sql(
        `insert into schedules (${columns})
         values (@id, @name, @cron, @timezone, @job_type, @payload, @misfire, @misfire_window_seconds, @overlap,
           @jitter_seconds, @paused, @source, @cursor, @next_at, @last_run_at, @created_at, @updated_at)
         on conflict (id) do update set cron = excluded.cron, timezone = excluded.timezone,
           job_type = excluded.job_type, payload = excluded.payload, misfire = excluded.misfire,
           misfire_window_seconds = excluded.misfire_window_seconds, overlap = excluded.overlap,
           jitter_seconds = excluded.jitter_seconds, paused = excluded.paused, cursor = excluded.cursor,
           next_at = excluded.next_at, updated_at = excluded.updated_at`,
      ).run(row);
    },

    removeSchedule(id: string): void {
      sql('delete from schedules where id = ?').run(id);
    },

    moveCursor(id: string, cursor: string, nextAt: string | null, lastRunAt: string | null): void {
      sql(
        `update schedules set cursor = @cursor, next_at = @nextAt, last_run_at = coalesce(@lastRunAt, last_run_at)
         where id = @id`,
      ).run({ id, cursor, nextAt, lastRunAt });
    },

    isSlotKnown(scheduleId: string, slot: string): boolean {
      const until = sql(
        `select until from schedule_slots where schedule_id = ? and slot <= ? order by slot desc limit 1`,
      )
        .pluck()
        .get(scheduleId, slot) as string | undefined;
      return until !== undefined && until >= slot;
    },

    /** Notes what became of a slot; one that ended like its neighbour before it joins that one's row. */
    putSlot(
      scheduleId: string,
      slot: { slot: string; outcome: SlotOutcome; reason: string | null; jobId: string | null; at: string },
    ): void {
      if (slot.jobId === null) {
        const { changes } = sql(
          `update schedule_slots set until = @slot, count = count + 1, at = @at
           where id = (select id from schedule_slots where schedule_id = @scheduleId and slot < @slot
                       order by slot desc limit 1)
             and outcome = @outcome and reason = @reason and job_id is null and until < @slot`,
        ).run({ ...slot, scheduleId });
        if (changes === 1) return;
      }
      sql(
        `insert into schedule_slots (schedule_id, slot, until, count, outcome, reason, job_id, at)
         values (@scheduleId, @slot, @slot, 1, @outcome, @reason, @jobId, @at)`,
      ).run({ ...slot, scheduleId });
    },

    /** Slots that are yet to come and were decided already, without a job: the clock had been ahead. */
    forgetFutureSlots(scheduleId: string, now: string): void {
      sql('delete from schedule_slots where schedule_id = ? and slot > ? and job_id is null').run(
        scheduleId,
        now,
      );
    },

    /** A line that reaches into the future, cut to `count` slots until `until`. */
    cutSlots(scheduleId: string, slot: string, until: string, count: number): void {
      sql('update schedule_slots set until = ?, count = ? where schedule_id = ? and slot = ?').run(
        until,
        count,
        scheduleId,
        slot,
      );
    },

    /** Schedules whose slots have been decided up to a time after `time`. */
    schedulesAhead(time: string): { name: string; cursor: string }[] {
      return sql('select name, cursor from schedules where cursor > ? order by name').all(time) as {
        name: string;
        cursor: string;
      }[];
    },

    /** What became of the newest slots, newest first. */
    slots(scheduleId: string, limit: number): SlotRow[] {
      return sql(
        `select s.slot, s.until, s.count, s.outcome, s.reason, s.job_id, j.state as job_state, s.at
         from schedule_slots s left join jobs j on j.id = s.job_id
         where s.schedule_id = ? order by s.slot desc limit ?`,
      ).all(scheduleId, limit) as SlotRow[];
    },

    slotTotals(scheduleId: string): Record<SlotOutcome, number> {
      const rows = sql(
        'select outcome, sum(count) as n from schedule_slots where schedule_id = ? group by outcome',
      ).all(scheduleId) as { outcome: SlotOutcome; n: number }[];
      return { run: 0, skipped: 0, missed: 0, ...Object.fromEntries(rows.map((r) => [r.outcome, r.n])) };
    },

    /** The jobs under a serial key that have not ended, oldest first. */
    openJobs(serialKey: string, limit: number): string[] {
      return sql(
        `select id from jobs where serial_key = ? and state in ('pending', 'queued', 'running')
         order by created_at, id limit ?`,
      )
        .pluck()
        .all(serialKey, limit) as string[];
    },
  };
}
