import { beat, type WorkerProcess } from '../process.ts';
import type { Prepare } from './statements.ts';

/** What keeps an unattended installation going: leases, heartbeats, rate budgets, and what has had its time. */
export function operationStatements(sql: Prepare) {
  const iso = (ms: number) => new Date(ms).toISOString();
  return {
    /**
     * Takes or renews a lease for `ms`; false while another holds it. One that ends later than any could is from
     * before the clock was set back, and counts for nothing.
     */
    takeLease(name: string, owner: string, now: Date, ms: number): boolean {
      const until = iso(now.getTime() + ms);
      return (
        sql(
          `insert into leases (name, owner, until) values (@name, @owner, @until)
           on conflict (name) do update set owner = excluded.owner, until = excluded.until
           where leases.owner = excluded.owner or leases.until <= @now or leases.until > @until`,
        ).run({ name, owner, until, now: now.toISOString() }).changes === 1
      );
    },

    giveUpLease(name: string, owner: string): void {
      sql('delete from leases where name = ? and owner = ?').run(name, owner);
    },

    /** Says that a process lives; the first word also says what it is. */
    putProcess(process: {
      id: string;
      kind: string;
      host: string;
      pid: number;
      version: string;
      places: Record<string, number>;
      now: string;
    }): void {
      sql(
        `insert into processes (id, kind, host, pid, version, places, started_at, beat_at)
         values (@id, @kind, @host, @pid, @version, @places, @now, @now)
         on conflict (id) do update set beat_at = excluded.beat_at`,
      ).run({ ...process, places: JSON.stringify(process.places) });
    },

    removeProcess(id: string): void {
      sql('delete from processes where id = ?').run(id);
    },

    /** Every process that has not said goodbye. */
    processes(now: Date): WorkerProcess[] {
      const rows = sql(
        `select kind, host, pid, version, places, started_at as "startedAt", beat_at as "beatAt" from processes
         order by started_at`,
      ).all() as (Omit<WorkerProcess, 'places' | 'alive'> & { places: string })[];
      return rows.map((row) => ({
        ...row,
        places: JSON.parse(row.places) as Record<string, number>,
        alive: Math.abs(now.getTime() - Date.parse(row.beatAt)) < beat.countsMs,
      }));
    },

    /** The places of each live process, by queue. */
    livePlaces(now: Date): Record<string, number>[] {
      const { countsMs } = beat;
      const rows = sql('select places from processes where beat_at > ? and beat_at < ?')
        .pluck()
        .all(iso(now.getTime() - countsMs), iso(now.getTime() + countsMs)) as string[];
      return rows.map((text) => JSON.parse(text) as Record<string, number>);
    },

    /** Forgets processes that have been silent since before `before`. */
    forgetProcesses(before: string): number {
      return sql('delete from processes where beat_at < ?').run(before).changes;
    },

    /**
     * Gives a job its turn with an account that allows `perMinute`, evenly spaced. Answers with 0 when it may go on now,
     * or with the ms until its turn, which is kept for it until it asks again.
     */
    takeTurn(jobId: string, account: string, perMinute: number, nowMs: number): number {
      const gap = 60_000 / perMinute;
      // Further off than anybody waits can only be from before the clock was set back.
      const sane = (ms: number) => (ms > nowMs + 86_400_000 ? nowMs : ms);
      const kept = sql('select turn_at from jobs where id = ?').pluck().get(jobId) as
        | string
        | null
        | undefined;
      const free = (sql('select free_at from budgets where account = ?').pluck().get(account) ?? 0) as number;
      const turn = kept ? sane(Date.parse(kept)) : Math.max(sane(free), nowMs);
      const wait = Math.ceil(turn - nowMs);
      sql('update jobs set turn_at = ? where id = ?').run(wait > 0 ? iso(turn) : null, jobId);
      if (!kept) {
        sql(
          `insert into budgets (account, free_at) values (@account, @freeAt)
           on conflict (account) do update set free_at = excluded.free_at`,
        ).run({ account, freeAt: turn + gap });
      }
      return Math.max(0, wait);
    },

    /** Removes jobs that ended before `before` in one of `states`, with their steps, attempts and logs. */
    forgetJobs(states: readonly string[], before: string, limit: number): number {
      const marks = states.map(() => '?').join(', ');
      return sql(
        `delete from jobs where id in (
           select id from jobs where finished_at < ? and state in (${marks}) order by finished_at limit ?)`,
      ).run(before, ...states, limit).changes;
    },

    /** Removes jobs of these types that succeeded before `before`; there are many of them. */
    forgetRoutine(types: readonly string[], before: string, limit: number): number {
      const marks = types.map(() => '?').join(', ');
      return sql(
        `delete from jobs where id in (
           select id from jobs where finished_at < ? and state = 'succeeded' and type in (${marks})
             and (requested_by like 'schedule:%' or requested_by like 'job:%')
           order by finished_at limit ?)`,
      ).run(before, ...types, limit).changes;
    },

    /** Removes slots that ran as jobs that were forgotten. */
    forgetRunSlots(before: string, limit: number): number {
      return sql(
        `delete from schedule_slots where id in (
           select s.id from schedule_slots s left join jobs j on j.id = s.job_id
           where s.until < ? and s.outcome = 'run' and j.id is null order by s.until limit ?)`,
      ).run(before, limit).changes;
    },

    forgetSlots(before: string, limit: number): number {
      return sql(
        'delete from schedule_slots where id in (select id from schedule_slots where until < ? order by until limit ?)',
      ).run(before, limit).changes;
    },
  };
}
