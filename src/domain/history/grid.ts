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
  const byId = new Map<number, Series>();
  const byName = new Map<string, Series>();

  function seriesOf(metric: Metric): Series {
    const key = `${metric.stateId} ${metric.name}`;
    const found = byName.get(key);
    if (found) return found;
    const state = states.get(metric.stateId);
    const n = buckets.length;
    const made: Series = {
      stateId: metric.stateId,
      deviceId: state?.device_id ?? '',
      check: state?.check_name ?? '',
      instance: state?.instance ?? '',
      value: metric.name,
      unit: metric.unit,
      min: new Float32Array(n),
      avg: new Float32Array(n),
      max: new Float32Array(n),
      count: new Uint32Array(n),
    };
    byName.set(key, made);
    if (metric.id !== undefined) byId.set(metric.id, made);
    return made;
  }
  for (const m of metrics) seriesOf({ id: m.id, stateId: m.state_id, name: m.name, unit: m.unit });

  const cursor = tx.historyCursor(clientId);
  const first = metrics[0]?.id ?? 0;
  const last = metrics.at(-1)?.id ?? 0;
  const rolledUntil = level === 'day' ? cursor?.day_until_ms : cursor?.hour_until_ms;
  const blocks = (at: Level, start: number, end: number) =>
    start < end && metrics.length > 0 ? tx.blocks(clientId, at, start, end, { first, last }) : [];

  for (const row of blocks(level, from, Math.min(to, rolledUntil ?? 0))) {
    const block = unpackBlock(row.data);
    const base = indexOfBucket(buckets, row.start_ms);
    const { metric, slot, min, avg, max, count } = block;
    for (let i = 0; i < metric.length; i += 1) {
      const series = byId.get(metric[i] ?? -1);
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
        const series = byId.get(block.metric[i] ?? -1);
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
