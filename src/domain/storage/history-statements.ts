import type { Prepare } from './statements.ts';

export interface MetricRow {
  id: number;
  state_id: number;
  name: string;
  unit: string | null;
}

export interface BlockRow {
  start_ms: number;
  until_ms: number;
  data: Buffer;
}

export type Level = 'minute' | 'hour' | 'day';

/** The rolled-up history and how far it goes. */
export function historyStatements(sql: Prepare) {
  return {
    metricsOf(clientId: string): MetricRow[] {
      return sql(
        `select m.id, m.state_id, m.name, m.unit from check_states s join check_metrics m on m.state_id = s.id
         where s.client_id = ? order by m.id`,
      ).all(clientId) as MetricRow[];
    },

    /** The id of a metric, which is made if it isn't there. */
    metricId(stateId: number, name: string, unit: string | null): number {
      return sql(
        `insert into check_metrics (state_id, name, unit) values (@stateId, @name, @unit)
         on conflict (state_id, name) do update set unit = excluded.unit returning id`,
      )
        .pluck()
        .get({ stateId, name, unit }) as number;
    },

    /** Puts the blocks of one stretch in the place of those there are. */
    putBlocks(
      clientId: string,
      level: Level,
      startMs: number,
      untilMs: number,
      parts: { first: number; last: number; data: Buffer }[],
    ): void {
      sql('delete from rollups where client_id = ? and level = ? and start_ms = ?').run(
        clientId,
        level,
        startMs,
      );
      for (const [part, { first, last, data }] of parts.entries()) {
        sql(
          `insert into rollups (client_id, level, start_ms, until_ms, part, first_metric, last_metric, data)
           values (?, ?, ?, ?, ?, ?, ?, ?)`,
        ).run(clientId, level, startMs, untilMs, part, first, last, data);
      }
    },

    /** Blocks of a client that overlap a half-open period, oldest first; those that may hold one metric, if given. */
    blocks(
      clientId: string,
      level: Level,
      fromMs: number,
      toMs: number,
      metrics: { first: number; last: number } | null,
    ): BlockRow[] {
      const { first, last } = metrics ?? { first: 0, last: Number.MAX_SAFE_INTEGER };
      return sql(
        `select start_ms, until_ms, data from rollups
         where client_id = ? and level = ? and start_ms < ? and start_ms >= ? and until_ms > ?
           and first_metric <= ? and last_metric >= ?
         order by start_ms, part`,
        // A block lasts 25 hours at most.
      ).all(clientId, level, toMs, fromMs - 26 * 3_600_000, fromMs, last, first) as BlockRow[];
    },

    historyCursor(clientId: string): { hour_until_ms: number; day_until_ms: number } | undefined {
      return sql('select hour_until_ms, day_until_ms from history_cursors where client_id = ?').get(
        clientId,
      ) as { hour_until_ms: number; day_until_ms: number } | undefined;
    },

    setHistoryCursor(clientId: string, hourUntilMs: number, dayUntilMs: number): void {
      sql(
        `insert into history_cursors (client_id, hour_until_ms, day_until_ms) values (@clientId, @hourUntilMs, @dayUntilMs)
         on conflict (client_id) do update set hour_until_ms = excluded.hour_until_ms,
           day_until_ms = excluded.day_until_ms`,
      ).run({ clientId, hourUntilMs, dayUntilMs });
    },

    /** When the oldest raw run over a client began, in ms since the epoch; null for none. */
    firstRun(clientId: string): number | null {
      return sql('select min(at) from check_runs where client_id = ?').pluck().get(clientId) as number | null;
    },

    clientIds(): string[] {
      return sql('select id from clients order by id').pluck().all() as string[];
    },

    /** Clients with raw runs that are not rolled up, of which the oldest began before `before`. */
    clientsToRollUp(before: number): string[] {
      return sql(
        `select distinct r.client_id from check_runs r left join history_cursors c on c.client_id = r.client_id
         where r.at < @before and r.at >= coalesce(c.hour_until_ms, 0)`,
      )
        .pluck()
        .all({ before }) as string[];
    },

    forgetRuns(beforeMs: number, limit: number): number {
      return sql(
        `delete from check_runs where rowid in (
           select r.rowid from check_runs r join history_cursors c on c.client_id = r.client_id
           where r.at < @beforeMs and r.at < c.hour_until_ms limit @limit)`,
      ).run({ beforeMs, limit }).changes;
    },

    forgetBlocks(level: Level, beforeMs: number, limit: number): number {
      return sql(
        'delete from rollups where id in (select id from rollups where level = ? and until_ms <= ? limit ?)',
      ).run(level, beforeMs, limit).changes;
    },

    forgetSpans(beforeMs: number, limit: number): number {
      return sql(
        `delete from state_spans where rowid in (select rowid from state_spans where until_ms <= ? limit ?)`,
      ).run(beforeMs, limit).changes;
    },

    /** Things that were checked no longer before `before` and have no history left. */
    forgetStates(before: string, limit: number): number {
      return sql(
        `delete from check_states where id in (select id from check_states where retired_at < ? limit ?)`,
      ).run(before, limit).changes;
    },
  };
}
