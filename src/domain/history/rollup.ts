import type { Statements } from '../storage/statements.ts';
import { packBlocks, type Row, unpackBlock } from './block.ts';
import { dayAt, hourAt } from './buckets.ts';
import { type RawResult, unpackRun } from './runs.ts';

/** Sums up values, each under the metric and the minute it belongs to. */
export class Tally {
  readonly #rows = new Map<number, Map<number, { min: number; max: number; sum: number; count: number }>>();

  add(metric: number, slot: number, min: number, max: number, sum: number, count: number): void {
    let slots = this.#rows.get(metric);
    if (!slots) this.#rows.set(metric, (slots = new Map()));
    const row = slots.get(slot);
    if (!row) {
      slots.set(slot, { min, max, sum, count });
      return;
    }
    row.min = Math.min(row.min, min);
    row.max = Math.max(row.max, max);
    row.sum += sum;
    row.count += count;
  }

  rows(): Row[] {
    return [...this.#rows].flatMap(([metric, slots]) =>
      [...slots].map(([slot, { min, max, sum, count }]) => ({
        metric,
        slot,
        count,
        min,
        // What is summed up and divided may come out a hair beyond what it was made of.
        avg: Math.min(max, Math.max(min, sum / count)),
        max,
      })),
    );
  }
}

/** How long a run may go on after its first measurement, in ms: its results may lie in the hour after. */
const longestRunMs = 600_000;

/** How long after the end of an hour it is rolled up, in ms; what comes later has it rolled up again. */
export const graceMs = 300_000;

/** The raw results of a client in a half-open period, in ms since the epoch. */
export function rawBetween(tx: Statements, clientId: string, from: number, to: number): RawResult[] {
  return tx
    .runsBetween(clientId, from - longestRunMs, to)
    .flatMap((run) => unpackRun(run.at, run.data))
    .filter((r) => r.at >= from && r.at < to);
}

/**
 * Rolls up the next hour of a client that is over, and with the last hour of a day the day. Doing so again comes to the
 * same. Answers with whether there was one.
 */
export function rollUpHour(tx: Statements, clientId: string, timezone: string, now: number): boolean {
  const cursor = tx.historyCursor(clientId);
  const from = cursor?.hour_until_ms ?? tx.firstRun(clientId);
  if (from === null) return false;
  const hour = hourAt(from, timezone);
  if (hour.until + graceMs > now) return false;
  const known = new Set(tx.statesOf(clientId).map((row) => row.id));
  const ids = new Map(tx.metricsOf(clientId).map((m) => [`${m.state_id} ${m.name}`, m.id]));
  const minutes = new Tally();
  const whole = new Tally();
  for (const result of rawBetween(tx, clientId, hour.start, hour.until)) {
    if (!known.has(result.stateId)) continue;
    for (const { name, value, unit } of result.values) {
      if (value === null) continue;
      const key = `${result.stateId} ${name}`;
      let metric = ids.get(key);
      if (metric === undefined) ids.set(key, (metric = tx.metricId(result.stateId, name, unit)));
      minutes.add(metric, Math.floor((result.at - hour.start) / 60_000), value, value, value, 1);
      whole.add(metric, 0, value, value, value, 1);
    }
  }
  tx.putBlocks(clientId, 'minute', hour.start, hour.until, packBlocks(minutes.rows()));
  tx.putBlocks(clientId, 'hour', hour.start, hour.until, packBlocks(whole.rows()));
  const day = dayAt(hour.start, timezone);
  const dayIsOver = hour.until >= day.until;
  if (dayIsOver) rollUpDay(tx, clientId, day.start, day.until);
  tx.setHistoryCursor(clientId, hour.until, dayIsOver ? day.until : day.start);
  return true;
}

function rollUpDay(tx: Statements, clientId: string, start: number, until: number): void {
  const tally = new Tally();
  for (const row of tx.blocks(clientId, 'hour', start, until, null)) {
    const block = unpackBlock(row.data);
    for (let i = 0; i < block.metric.length; i += 1) {
      const count = block.count[i] ?? 0;
      tally.add(
        block.metric[i] ?? 0,
        0,
        block.min[i] ?? 0,
        block.max[i] ?? 0,
        (block.avg[i] ?? 0) * count,
        count,
      );
    }
  }
  tx.putBlocks(clientId, 'day', start, until, packBlocks(tally.rows()));
}

/** Has what was rolled up since `at`, in ms since the epoch, rolled up again: something has been added to it. */
export function rewind(tx: Statements, clientId: string, at: number): void {
  const cursor = tx.historyCursor(clientId);
  if (!cursor || cursor.hour_until_ms <= at) return;
  const timezone = tx.clientTimezone(clientId) ?? 'UTC';
  tx.setHistoryCursor(
    clientId,
    hourAt(at, timezone).start,
    Math.min(cursor.day_until_ms, dayAt(at, timezone).start),
  );
}
