import type { Level } from '../storage/history-statements.ts';
import type { Statements } from '../storage/statements.ts';
import { unpackBlock } from './block.ts';
import { type Bucket, bucketsBetween, indexOfBucket } from './buckets.ts';
import { rawBetween } from './rollup.ts';

/** One value of one thing over time. Column i belongs to bucket i of the grid; where `count` is 0 there is a gap. */
export interface Series {
  stateId: number;
  deviceId: string;
  check: string;
  instance: string;
  value: string;
  unit: string | null;
  min: Float32Array;
  avg: Float32Array;
  max: Float32Array;
  count: Uint32Array;
}

/** The history of a client, all of it on the same buckets. */
export interface Grid {
  level: Level;
  buckets: Bucket[];
  series: Series[];
}

export interface GridQuery {
  clientId: string;
  timezone: string;
  level: Level;
  /** Half-open, in ms since the epoch. */
  from: number;
  to: number;
  deviceId?: string | undefined;
  check?: string | undefined;
}

interface Metric {
  id: number | undefined;
  stateId: number;
  name: string;
  unit: string | null;
}

/** Columns for so many series of `n` buckets, cut from a few large pieces: thousands of small ones would take longer. */
function columnsFor(expected: number, n: number): { next(): Pick<Series, 'min' | 'avg' | 'max' | 'count'> } {
  const floats = new Float32Array(expected * n * 3);
  const counts = new Uint32Array(expected * n);
  let used = 0;
  return {
    next() {
      const at = used * n;
      used += 1;
      if (used > expected)
        return {
          min: new Float32Array(n),
          avg: new Float32Array(n),
          max: new Float32Array(n),
          count: new Uint32Array(n),
        };
      return {
        min: floats.subarray(at * 3, at * 3 + n),
        avg: floats.subarray(at * 3 + n, at * 3 + 2 * n),
        max: floats.subarray(at * 3 + 2 * n, at * 3 + 3 * n),
        count: counts.subarray(at, at + n),
      };
    },
  };
}

/** Reads what was rolled up, and rolls up on the way what has not been yet. Nothing is filled in where nothing is known. */
export function readGrid(tx: Statements, query: GridQuery): Grid {
  const { clientId, level, timezone } = query;
  const buckets = bucketsBetween(level, query.from, query.to, timezone);
  const from = buckets[0]?.start ?? query.from;
  const to = buckets.at(-1)?.until ?? query.to;
  const states = new Map(
    tx
      .statesOf(clientId)
      .filter((row) => query.deviceId === undefined || row.device_id === query.deviceId)
      .filter((row) => query.check === undefined || row.check_name === query.check)
      .map((row) => [row.id, row]),
  );
  const metrics = tx.metricsOf(clientId).filter((m) => states.has(m.state_id));
  const first = metrics[0]?.id ?? 0;
  const last = metrics.at(-1)?.id ?? 0;
  // Ids of a client's metrics lie close together, and this is looked into for every point there is.
  const byId: (Series | undefined)[] = [];
  const byName = new Map<string, Series>();

  const n = buckets.length;
  const columns = columnsFor(metrics.length, n);

  function seriesOf(metric: Metric): Series {
    const key = `${metric.stateId} ${metric.name}`;
    const found = byName.get(key);
    if (found) return found;
    const state = states.get(metric.stateId);
    const made: Series = {
      stateId: metric.stateId,
      deviceId: state?.device_id ?? '',
      check: state?.check_name ?? '',
      instance: state?.instance ?? '',
      value: metric.name,
      unit: metric.unit,
      ...columns.next(),
    };
    byName.set(key, made);
    if (metric.id !== undefined) byId[metric.id - first] = made;
    return made;
  }
  for (const m of metrics) seriesOf({ id: m.id, stateId: m.state_id, name: m.name, unit: m.unit });

  const cursor = tx.historyCursor(clientId);
  const rolledUntil = level === 'day' ? cursor?.day_until_ms : cursor?.hour_until_ms;
  const blocks = (at: Level, start: number, end: number) =>
    start < end && metrics.length > 0 ? tx.blocks(clientId, at, start, end, { first, last }) : [];

  for (const row of blocks(level, from, Math.min(to, rolledUntil ?? 0))) {
    const block = unpackBlock(row.data);
    const base = indexOfBucket(buckets, row.start_ms);
    const { metric, slot, min, avg, max, count } = block;
    for (let i = 0; i < metric.length; i += 1) {
      const series = byId[(metric[i] ?? 0) - first];
      if (!series) continue;
      const index =
        level === 'minute' ? indexOfBucket(buckets, row.start_ms + (slot[i] ?? 0) * 60_000) : base;
      if (index < 0) continue;
      series.min[index] = min[i] ?? 0;
      series.avg[index] = avg[i] ?? 0;
      series.max[index] = max[i] ?? 0;
      series.count[index] = count[i] ?? 0;
    }
  }

  function add(series: Series, index: number, min: number, max: number, avg: number, n: number): void {
    const before = series.count[index] ?? 0;
    series.min[index] = before === 0 ? min : Math.min(series.min[index] ?? min, min);
    series.max[index] = before === 0 ? max : Math.max(series.max[index] ?? max, max);
    series.avg[index] = ((series.avg[index] ?? 0) * before + avg * n) / (before + n);
    series.count[index] = before + n;
  }

  if (level === 'day') {
    for (const row of blocks(
      'hour',
      Math.max(from, cursor?.day_until_ms ?? 0),
      Math.min(to, cursor?.hour_until_ms ?? 0),
    )) {
      const block = unpackBlock(row.data);
      const index = indexOfBucket(buckets, row.start_ms);
      if (index < 0) continue;
      for (let i = 0; i < block.metric.length; i += 1) {
        const series = byId[(block.metric[i] ?? 0) - first];
        if (series)
          add(series, index, block.min[i] ?? 0, block.max[i] ?? 0, block.avg[i] ?? 0, block.count[i] ?? 0);
      }
    }
  }
  for (const result of rawBetween(tx, clientId, Math.max(from, cursor?.hour_until_ms ?? 0), to)) {
    if (!states.has(result.stateId)) continue;
    const index = indexOfBucket(buckets, result.at);
    if (index < 0) continue;
    for (const { name, value, unit } of result.values) {
      if (value === null) continue;
      add(seriesOf({ id: undefined, stateId: result.stateId, name, unit }), index, value, value, value, 1);
    }
  }
  const series = [...byName.values()].filter((s) => s.count.some((n) => n > 0));
  return { level, buckets, series };
}
