import { type Availability, deviceStretches, summarizeAvailability } from './availability.ts';
import {
  type AppliedLimits,
  bySeverity,
  type Status,
  summarize,
  type Summary,
  worst,
} from './check/check.ts';
import type { Client } from './client.ts';
import { type Device, listDevices } from './device.ts';
import { type Grid, readGrid } from './history/grid.ts';
import { readTimelines, type Span, timeInStates, type Timeline } from './history/spans.ts';
import { toWindow } from './maintenance.ts';
import type { Period } from './period.ts';
import type { Settings } from './settings.ts';
import type { StateRow } from './storage/check-statements.ts';
import type { Level } from './storage/history-statements.ts';
import type { Storage } from './storage/storage.ts';

/** A value over time. `points` are [epoch ms, value], oldest first; null where there was no data. */
export interface Series {
  device: string;
  check: string;
  instance: string;
  unit: string;
  warning: number | null;
  critical: number | null;
  points: [number, number | null][];
  latest: number;
  min: number;
  max: number;
  average: number;
}

/** A stretch in which one thing was in warning or critical. `to` is null while it lasts. */
export interface Incident {
  device: string;
  check: string;
  instance: string;
  severity: Status;
  from: string;
  to: string | null;
  minutes: number | null;
  message: string;
}

/** How a thing stood at the end of the period. */
export interface Latest {
  device: string;
  device_id: string;
  check_name: string;
  instance: string;
  status: Status;
  message: string;
  value: number | null;
  unit: string | null;
  at: string;
}

export interface ReportDevice extends Pick<Device, 'name' | 'type' | 'lastSeen'> {
  status: Status;
  summary: Summary;
  system: string | null;
}

/** All that report templates may show. Every figure comes from what was stored; what has none is null or empty. */
export interface ReportData {
  company: string;
  client: Client;
  period: Period & { label: string };
  timezone: string;
  generatedAt: string;
  status: Status;
  summary: Summary;
  devices: ReportDevice[];
  latest: Latest[];
  /** Values that were measured in the period. */
  valuesInPeriod: number;
  /** Whether anything at all could tell how things were. */
  known: boolean;
  series: Series[];
  incidents: Incident[];
  availability: { overall: Availability; devices: Availability[]; checks: Availability[] };
  slaTargetPercent: number | null;
  work: { type: string; state: string; finishedAt: string | null }[];
  /** Jobs of the client that ended in the period, by how they ended. */
  workCounts: { succeeded: number; failed: number };
}

const dayMs = 86_400_000;

/** Fine enough to see something, coarse enough for a chart. */
function levelFor(ms: number): Level {
  if (ms <= 2 * dayMs) return 'minute';
  return ms <= 62 * dayMs ? 'hour' : 'day';
}

/** Collects what a report on `client` over `period` may show. */
export async function buildReportData(
  storage: Storage,
  client: Client,
  period: Period,
  options: { companyName: string; now: Date } & Pick<Settings, 'maintenanceCounts'> & {
      reachability: readonly string[];
    },
): Promise<ReportData> {
  const { read } = storage;
  const [from, to, now] = [Date.parse(period.from), Date.parse(period.to), options.now.getTime()];
  const end = Math.min(to, now);
  const devices = await listDevices(storage, { clientId: client.id });
  const nameOf = new Map(devices.map((device) => [device.id, device.name]));
  const timelines = readTimelines(read, { clientId: client.id, from, to, now });
  const grid = readGrid(read, {
    clientId: client.id,
    timezone: client.timezone,
    level: levelFor(end - from),
    from,
    to: Math.max(end, from),
  });
  const latest = latestOf(timelines, grid, nameOf, end).sort(
    (a, b) =>
      bySeverity(a.status, b.status) ||
      a.device.localeCompare(b.device) ||
      a.check_name.localeCompare(b.check_name),
  );
  const jobs = read
    .jobs({ clientId: client.id, limit: 1000 })
    .filter(
      (job) => job.finished_at !== null && job.finished_at >= period.from && job.finished_at < period.to,
    );
  const windows = read.windows(client.id, period.from).map(toWindow);
  const rules = { windows, maintenanceCounts: options.maintenanceCounts };
  const span = { from, to: Math.max(end, from) };
  const stretchesOf = (deviceId: string, of: readonly Timeline[], reachability: readonly string[] | null) =>
    deviceStretches(of, { clientId: client.id, deviceId }, span, { ...rules, reachability });
  const ofDevice = Map.groupBy(timelines, ({ thing }) => thing.device_id);
  const latestOfDevice = Map.groupBy(latest, (row) => row.device_id);
  const byDevice = devices.map((device) => {
    const own = ofDevice.get(device.id) ?? [];
    return { device, own, stretches: stretchesOf(device.id, own, options.reachability) };
  });
  const checks = [...new Set(timelines.map(({ thing }) => thing.check_name))].sort();
  const target = client.metadata['slaTargetPercent'];
  return {
    company: options.companyName,
    client,
    period: { ...period, label: periodLabel(period, client.timezone) },
    timezone: client.timezone,
    generatedAt: options.now.toISOString(),
    status: worst(latest.map((row) => row.status)),
    summary: summarize(latest.map((row) => row.status)),
    devices: devices.map((device) => {
      const statuses = (latestOfDevice.get(device.id) ?? []).map((row) => row.status);
      return {
        name: device.name,
        type: device.type,
        lastSeen: device.lastSeen,
        status: worst(statuses),
        summary: summarize(statuses),
        system: systemOf(device),
      };
    }),
    latest,
    valuesInPeriod: grid.series.reduce((sum, s) => sum + s.count.reduce((a, b) => a + b, 0), 0),
    known: timelines.some(({ spans }) => spans.some((s) => s.state !== 'unknown')),
    series: seriesOf(grid, timelines, nameOf, to),
    incidents: incidentsOf(timelines, nameOf),
    availability: {
      overall: summarizeAvailability(
        'all devices',
        byDevice.map(({ stretches }) => stretches),
      ),
      devices: byDevice.map(({ device, stretches }) => summarizeAvailability(device.name, [stretches])),
      checks: checks.map((check) =>
        summarizeAvailability(
          check,
          byDevice.flatMap(({ device, own }) => {
            const of = own.filter(({ thing }) => thing.check_name === check);
            return of.length > 0 ? [stretchesOf(device.id, of, null)] : [];
          }),
        ),
      ),
    },
    slaTargetPercent: typeof target === 'number' ? target : null,
    work: jobs.slice(0, 20).map((job) => ({ type: job.type, state: job.state, finishedAt: job.finished_at })),
    workCounts: {
      succeeded: jobs.filter((job) => job.state === 'succeeded').length,
      failed: jobs.filter((job) => job.state === 'failed' || job.state === 'dead').length,
    },
  };
}

function systemOf(device: Device): string | null {
  const facts = device.metadata['facts'];
  return typeof facts === 'object' && facts !== null && 'system' in facts && typeof facts.system === 'string'
    ? facts.system
    : null;
}

function statusOf(span: Span): Status {
  return span.state === 'unreachable' ? 'unknown' : span.state;
}

/** How each thing stood at the end; things that were checked no longer by then are left out. */
function latestOf(
  timelines: readonly Timeline[],
  grid: Grid,
  names: ReadonlyMap<string, string>,
  end: number,
): Latest[] {
  const byState = Map.groupBy(grid.series, (series) => series.stateId);
  return timelines.flatMap(({ thing, spans }): Latest[] => {
    const last = spans.at(-1);
    const gone = thing.retired_at !== null && Date.parse(thing.retired_at) <= end;
    if (!last || gone) return [];
    const device = names.get(thing.device_id) ?? thing.device_id;
    const same = {
      device,
      device_id: thing.device_id,
      check_name: thing.check_name,
      instance: thing.instance,
    };
    if (Date.parse(thing.at) <= end) {
      const [main] = JSON.parse(thing.vals) as { value: number | null; unit: string | null }[];
      return [
        {
          ...same,
          // What was measured too long before is not known any more.
          status: last.until < end && Date.parse(thing.hold_until) < end ? 'unknown' : statusOf(last),
          message: thing.message,
          value: main?.value ?? null,
          unit: main?.unit ?? null,
          at: thing.at,
        },
      ];
    }
    const series = byState.get(thing.id)?.[0];
    const index = series ? series.count.findLastIndex((n) => n > 0) : -1;
    return [
      {
        ...same,
        status: statusOf(last),
        message: last.message,
        value: series && index >= 0 ? rounded(series.avg[index] ?? 0) : null,
        unit: series?.unit ?? null,
        at: new Date(last.until).toISOString(),
      },
    ];
  });
}

/** Finer than this nobody reads it. */
function rounded(value: number): number {
  return Math.round(value * 100) / 100;
}

function limitsOf(thing: StateRow): { warning: number | null; critical: number | null } {
  const limits = thing.limits === null ? null : (JSON.parse(thing.limits) as AppliedLimits);
  const number = (limit: unknown) => (typeof limit === 'number' ? limit : null);
  return { warning: number(limits?.warning), critical: number(limits?.critical) };
}

/** The main value of each thing over the period. */
function seriesOf(
  grid: Grid,
  timelines: readonly Timeline[],
  names: ReadonlyMap<string, string>,
  end: number,
): Series[] {
  const byState = Map.groupBy(grid.series, (series) => series.stateId);
  return timelines.flatMap(({ thing, spans }): Series[] => {
    const [main] = JSON.parse(thing.vals) as { name: string; value: number | null }[];
    const all = byState.get(thing.id) ?? [];
    const series = all.find((s) => s.value === main?.name) ?? all[0];
    if (!series || series.unit === null) return [];
    const times = timeInStates(spans, grid.buckets);
    const points = grid.buckets.flatMap(({ start }, i): [number, number | null][] => {
      if ((series.count[i] ?? 0) > 0) return [[start, rounded(series.avg[i] ?? 0)]];
      const time = times[i];
      const held = time && time.healthy + time.warning + time.critical > 0;
      return held ? [] : [[start, null]];
    });
    const filled = [...series.count.keys()].filter((i) => (series.count[i] ?? 0) > 0);
    const total = filled.reduce((sum, i) => sum + (series.count[i] ?? 0), 0);
    const last = filled.at(-1) ?? 0;
    return [
      {
        device: names.get(thing.device_id) ?? thing.device_id,
        check: thing.check_name,
        instance: thing.instance,
        unit: series.unit,
        ...limitsOf(thing),
        points: trimmed(points),
        latest: rounded((Date.parse(thing.at) < end ? main?.value : null) ?? series.avg[last] ?? 0),
        min: rounded(Math.min(...filled.map((i) => series.min[i] ?? 0))),
        max: rounded(Math.max(...filled.map((i) => series.max[i] ?? 0))),
        average: rounded(
          filled.reduce((sum, i) => sum + (series.avg[i] ?? 0) * (series.count[i] ?? 0), 0) / total,
        ),
      },
    ];
  });
}

/** Without the gaps before the first and after the last value. */
function trimmed(points: [number, number | null][]): [number, number | null][] {
  const first = points.findIndex(([, value]) => value !== null);
  const last = points.findLastIndex(([, value]) => value !== null);
  return first < 0 ? [] : points.slice(first, last + 1);
}

/** Stretches of warning and critical, newest first. What is unknown in between says nothing about recovery. */
function incidentsOf(timelines: readonly Timeline[], names: ReadonlyMap<string, string>): Incident[] {
  const incidents: Incident[] = [];
  for (const { thing, spans } of timelines) {
    let open: Incident | undefined;
    const close = (at: number) => {
      if (!open) return;
      open.to = new Date(at).toISOString();
      open.minutes = (at - Date.parse(open.from)) / 60_000;
      open = undefined;
    };
    for (const span of spans) {
      if (span.state === 'warning' || span.state === 'critical') {
        if (!open) {
          open = {
            device: names.get(thing.device_id) ?? thing.device_id,
            check: thing.check_name,
            instance: thing.instance,
            severity: span.state,
            from: new Date(span.from).toISOString(),
            to: null,
            minutes: null,
            message: span.message,
          };
          incidents.push(open);
        } else if (span.state === 'critical' && open.severity !== 'critical') {
          open.severity = 'critical';
          open.message = span.message;
        }
      } else if (span.state === 'healthy') close(span.from);
    }
    const last = spans.at(-1);
    if (thing.retired_at !== null && last) close(last.until);
  }
  return incidents.sort((a, b) => b.from.localeCompare(a.from));
}

/** "October 2026" for a calendar month, otherwise the first and the last day. */
function periodLabel(period: Period, timezone: string): string {
  const from = new Date(period.from);
  const last = new Date(Date.parse(period.to) - 1);
  const part = (date: Date, options: Intl.DateTimeFormatOptions) =>
    new Intl.DateTimeFormat('en-GB', { timeZone: timezone, ...options }).format(date);
  const month = (date: Date) => part(date, { month: 'long', year: 'numeric' });
  const dayAfter = new Date(period.to);
  if (
    part(from, { day: 'numeric' }) === '1' &&
    part(dayAfter, { day: 'numeric' }) === '1' &&
    month(from) === month(last)
  ) {
    return month(from);
  }
  const day = (date: Date) => part(date, { day: 'numeric', month: 'long', year: 'numeric' });
  return day(from) === day(last) ? day(from) : `${day(from)} – ${day(last)}`;
}
