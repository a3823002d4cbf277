import type { admission, JobState } from '../job.ts';
import { type JobRow, jobColumns } from './job-statements.ts';
import type { Prepare } from './statements.ts';

/** A job that holds a place, or waits for child jobs, in a queue. */
export interface HeldPlace {
  lane: string;
  type: string;
  admitted: (typeof admission)['placed' | 'parked'];
}

/** The outbox: which rows wait to be handed to the queue, which hold a place there, and which of them it has lost. */
export function admissionStatements(sql: Prepare) {
  const marks = (list: readonly string[]) => list.map(() => '?').join(', ');
  return {
    /** Whether there is anything to hand over: a row without a place, or one whose lease has lapsed. */
    hasWaiting(types: readonly string[], now: string, until: string): boolean {
      return (
        sql(
          `select 1 from jobs where state = 'pending' and type in (${marks(types)})
             and (admitted = 0 or relay_until is null or relay_until <= ? or relay_until > ?) limit 1`,
        ).get(...types, now, until) !== undefined
      );
    },

    /** Who holds a place in a queue. */
    heldPlaces(queue: string): HeldPlace[] {
      return sql(
        `select lane, type, admitted from jobs
         where queue = ? and state in ('pending', 'queued', 'running') and admitted in (1, 2)`,
      ).all(queue) as HeldPlace[];
    },

    /** How many jobs of each lane wait in a queue for their next try. */
    waitingForRetry(queue: string): Map<string, number> {
      const rows = sql(
        `select lane, count(*) as n from jobs where queue = ? and state = 'queued' and admitted = 0 group by lane`,
      ).all(queue) as { lane: string; n: number }[];
      return new Map(rows.map(({ lane, n }) => [lane, n]));
    },

    /** When each lane last had its turn, as a running number. */
    laneTurns(queue: string): Map<string, number> {
      const rows = sql('select lane, turn from lanes where queue = ?').all(queue) as {
        lane: string;
        turn: number;
      }[];
      return new Map(rows.map(({ lane, turn }) => [lane, turn]));
    },

    putLaneTurn(queue: string, lane: string, turn: number): void {
      sql(
        `insert into lanes (queue, lane, turn) values (?, ?, ?)
         on conflict (queue, lane) do update set turn = excluded.turn`,
      ).run(queue, lane, turn);
    },

    /** Waiting rows whose type now goes to another queue than when they were asked for. */
    moveWaiting(type: string, queue: string): number {
      return sql(
        `update jobs set queue = ? where type = ? and state = 'pending' and admitted = 0 and queue <> ?`,
      ).run(queue, type, queue).changes;
    },

    /** What a job holds in which queue. */
    placeOf(id: string): { queue: string; lane: string; type: string; admitted: number } | undefined {
      return sql('select queue, lane, type, admitted from jobs where id = ?').get(id) as
        | { queue: string; lane: string; type: string; admitted: number }
        | undefined;
    },

    /** The lanes in which rows wait, found by skipping from one to the next, however many rows each has. */
    waitingLanes(queue: string): string[] {
      return sql(
        `with recursive lanes(lane) as (
           select min(lane) from jobs where queue = @queue and state = 'pending' and admitted = 0
           union all
           select (select min(lane) from jobs
                   where queue = @queue and state = 'pending' and admitted = 0 and lane > lanes.lane)
           from lanes where lanes.lane is not null)
         select lane from lanes where lane is not null`,
      )
        .pluck()
        .all({ queue }) as string[];
    },

    /** The oldest row of a lane that may go next; one whose serial key is taken has to wait. */
    nextWaiting(
      queue: string,
      lane: string,
      types: readonly string[],
    ): { id: string; type: string } | undefined {
      // Asked type by type: a lane's thousands of a type that may not go must not be read.
      const oldest = types.flatMap((type) => {
        const row = sql(
          `select id, type, created_at from jobs
           where queue = ? and state = 'pending' and admitted = 0 and lane = ? and type = ?
             and (serial_key is null or not exists (
               select 1 from jobs other where other.serial_key = jobs.serial_key
                 and (other.state in ('queued', 'running') or (other.state = 'pending' and other.admitted = 1))))
           order by created_at, id limit 1`,
        ).get(queue, lane, type) as { id: string; type: string; created_at: string } | undefined;
        return row ? [row] : [];
      });
      return oldest.sort((x, y) => (`${x.created_at}${x.id}` < `${y.created_at}${y.id}` ? -1 : 1))[0];
    },

    /** Gives a waiting row a place, under `owner`'s lease. */
    admitJob(id: string, owner: string, until: string): JobRow {
      return sql(
        `update jobs set admitted = 1, relay_owner = ?, relay_until = ? where id = ? returning ${jobColumns}`,
      ).get(owner, until, id) as JobRow;
    },

    /**
     * Takes over rows that hold a place but were not handed over in time: their relay died, or failed. A lease that
     * ends later than any could is one from before the clock was set back.
     */
    takeOverLeases(
      owner: string,
      queues: readonly string[],
      types: readonly string[],
      now: string,
      until: string,
      limit: number,
    ): JobRow[] {
      return sql(
        `update jobs set relay_owner = ?, relay_until = ?
         where id in (
           select id from jobs
           where queue in (${marks(queues)}) and state = 'pending' and admitted = 1 and type in (${marks(types)})
             and (relay_until is null or relay_until <= ? or relay_until > ?)
           order by created_at, id limit ?)
         returning ${jobColumns}`,
      ).all(owner, until, ...queues, ...types, now, until, limit) as JobRow[];
    },

    markQueued(id: string, now: string): void {
      sql(
        `update jobs set state = 'queued', queued_at = @now, relay_owner = null, relay_until = null
         where id = @id and state = 'pending'`,
      ).run({ id, now });
    },

    /** Ends the lease on a row that could not be handed over, so that the next look takes it again. */
    dropLease(id: string, owner: string): void {
      sql(`update jobs set relay_until = null where id = ? and relay_owner = ? and state = 'pending'`).run(
        id,
        owner,
      );
    },

    /**
     * Rows that were handed over some time ago (or later than `now`: the clock was set back) and have not ended, by id
     * from `after` on; the queue is asked whether it still has them.
     */
    unfinishedBefore(
      before: string,
      now: string,
      after: string,
      limit: number,
    ): { id: string; type: string; queue: string; state: JobState; attempt: number }[] {
      return sql(
        `select id, type, queue, state, attempt from jobs
         where state in ('queued', 'running') and id > ?
           and (coalesce(started_at, queued_at) < ? or coalesce(started_at, queued_at) > ?)
         order by id limit ?`,
      ).all(after, before, now, limit) as {
        id: string;
        type: string;
        queue: string;
        state: JobState;
        attempt: number;
      }[];
    },

    /** Back to the outbox, if nothing has happened to the row since it was looked at. */
    returnToPending(id: string, attempt: number): boolean {
      return (
        sql(
          `update jobs set state = 'pending', admitted = 0, relay_owner = null, relay_until = null
           where id = @id and attempt = @attempt and state in ('queued', 'running')`,
        ).run({ id, attempt }).changes === 1
      );
    },

    /** Depth and age by queue and state, for those who watch. */
    backlog(): { queue: string; state: JobState; n: number; oldest: string }[] {
      return sql(
        `select queue, state, count(*) as n, min(created_at) as oldest from jobs
         where state in ('pending', 'queued', 'running') group by queue, state`,
      ).all() as { queue: string; state: JobState; n: number; oldest: string }[];
    },
  };
}
