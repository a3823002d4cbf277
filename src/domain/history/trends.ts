import type { Catalogue, Trend } from '../check/check-type.ts';
import type { PlannedCheck } from '../check/plan.ts';
import type { Storage } from '../storage/storage.ts';
import { readGrid } from './grid.ts';

/** How far back a trend looks, in ms. */
const trendMs = 30 * 86_400_000;

type Trends = Record<string, Record<string, Trend>>;

/** Daily means of the last month, for the checks that want to know the course of a value; none before the first day. */
export function trendsOf(
  storage: Storage,
  catalogue: Catalogue,
  clientId: string,
  plans: readonly { planned: readonly PlannedCheck[] }[],
  now: Date,
): (deviceId: string) => { trends?: Trends } {
  const wanted = catalogue.filter(
    (type) => type.trend && plans.some((plan) => plan.planned.some((p) => p.check === type.name)),
  );
  if (wanted.length === 0 || !storage.read.historyCursor(clientId)) return () => ({});
  const timezone = storage.read.clientTimezone(clientId) ?? 'UTC';
  const to = now.getTime();
  const byDevice = new Map<string, Trends>();
  for (const type of wanted) {
    const query = { clientId, timezone, level: 'day', from: to - trendMs, to, check: type.name } as const;
    const grid = readGrid(storage.read, query);
    for (const series of grid.series.filter((s) => s.value === type.trend)) {
      const points = grid.buckets.flatMap(({ start, until }, i): [number, number][] =>
        (series.count[i] ?? 0) > 0 ? [[(start + Math.min(until, to)) / 2, series.avg[i] ?? 0]] : [],
      );
      const trends = byDevice.get(series.deviceId) ?? {};
      byDevice.set(series.deviceId, trends);
      (trends[type.name] ??= {})[series.instance] = points;
    }
  }
  return (deviceId) => {
    const trends = byDevice.get(deviceId);
    return trends ? { trends } : {};
  };
}
