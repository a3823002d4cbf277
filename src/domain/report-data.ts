import { bySeverity, type CheckName, type Status, summarize, type Summary, worst } from './check.ts';
import type { Client } from './client.ts';
import { type Device, listDevices } from './device.ts';
import type { Period } from './period.ts';
import type { ResultRow } from './storage/record-statements.ts';
import type { Storage } from './storage/storage.ts';

/** A value over time. `points` are [epoch ms, value], oldest first. */
export interface Series {
  device: string;
  check: CheckName;
  instance: string;
  unit: string;
  warning: number | null;
  critical: number | null;
  points: [number, number][];
  latest: number;
  min: number;
  max: number;
  average: number;
}

/** A stretch in which one thing was in warning or critical. `to` is null while it lasts. */
export interface Incident {
  device: string;
  check: CheckName;
  instance: string;
  severity: Status;
  from: string;
  to: string | null;
  minutes: number | null;
  message: string;
}

/** Share of checks that found the thing working (healthy or warning) among those that could tell; null for no data. */
export interface Availability {
  name: string;
  known: number;
  unknown: number;
  percent: number | null;
}

export interface ReportDevice extends Pick<Device, 'name' | 'type' | 'lastSeen'> {
  status: Status;
  summary: Summary;
  system: string | null;
}

/** All that report templates may show. Every figure comes from a stored row; what has none is null or empty. */
export interface ReportData {
  company: string;
  client: Client;
  period: Period & { label: string };
  timezone: string;
  generatedAt: string;
  status: Status;
  summary: Summary;
  devices: ReportDevice[];
  latest: ResultRow[];
  checksInPeriod: number;
  statusCounts: Summary;
  series: Series[];
  incidents: Incident[];
  availability: { overall: Availability; devices: Availability[]; checks: Availability[] };
  slaTargetPercent: number | null;
  work: { type: string; state: string; finishedAt: string | null }[];
  /** Jobs of the client that ended in the period, by how they ended. */
  workCounts: { succeeded: number; failed: number };
}

/** Collects what a report on `client` over `period` may show. */
export async function buildReportData(
  storage: Storage,
  client: Client,
  period: Period,
  options: { companyName: string; now: Date },
): Promise<ReportData> {
  const rows = storage.read.resultsBetween(client.id, period.from, period.to);
  const latest = newestPerThing(rows).sort(
    (a, b) =>
      bySeverity(a.status, b.status) ||
      a.device.localeCompare(b.device) ||
      a.check_name.localeCompare(b.check_name),
  );
  const devices = await listDevices(storage, { clientId: client.id });
  const jobs = storage.read
    .jobs({ clientId: client.id, limit: 1000 })
    .filter(
      (job) => job.finished_at !== null && job.finished_at >= period.from && job.finished_at < period.to,
    );
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
      const statuses = latest.filter((row) => row.device_id === device.id).map((row) => row.status);
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
    checksInPeriod: rows.length,
    statusCounts: summarize(rows.map((row) => row.status)),
    series: seriesOf(rows),
    incidents: incidentsOf(rows),
    availability: {
      overall: availabilityOf('all checks', rows),
      devices: [...groupBy(rows, (row) => row.device)].map(([name, group]) => availabilityOf(name, group)),
      checks: [...groupBy(rows, (row) => row.check_name)].map(([name, group]) => availabilityOf(name, group)),
    },
    slaTargetPercent: typeof target === 'number' ? target : null,
    work: jobs.slice(0, 20).map((job) => ({ type: job.type, state: job.state, finishedAt: job.finished_at })),
    workCounts: {
      succeeded: jobs.filter((job) => job.state === 'succeeded').length,
      failed: jobs.filter((job) => job.state === 'failed' || job.state === 'dead').length,
    },
  };
}

function groupBy<T>(rows: readonly T[], key: (row: T) => string): Map<string, T[]> {
  return Map.groupBy(rows, key);
}

function thingOf(row: ResultRow): string {
  return JSON.stringify([row.device_id, row.check_name, row.instance]);
}

/** The last row of each thing; of the things of one check on one device, only those its last run still saw. */
export function newestPerThing(rows: readonly ResultRow[]): ResultRow[] {
  const lastRun = new Map<string, string>();
  for (const row of rows) lastRun.set(`${row.device_id} ${row.check_name}`, row.at);
  const newest = new Map<string, ResultRow>();
  for (const row of rows) {
    if (lastRun.get(`${row.device_id} ${row.check_name}`) === row.at) newest.set(thingOf(row), row);
  }
  return [...newest.values()];
}

function systemOf(device: Device): string | null {
  const facts = device.metadata['facts'];
  return typeof facts === 'object' && facts !== null && 'system' in facts && typeof facts.system === 'string'
    ? facts.system
    : null;
}

function seriesOf(rows: readonly ResultRow[]): Series[] {
  const measured = rows.filter((row) => row.value !== null && row.unit !== null);
  return [...groupBy(measured, thingOf).values()].flatMap((group) => {
    const last = group.at(-1);
    if (!last || last.value === null || last.unit === null) return [];
    const points = group.map((row): [number, number] => [Date.parse(row.at), row.value ?? 0]);
    const values = points.map(([, value]) => value);
    return [
      {
        device: last.device,
        check: last.check_name,
        instance: last.instance,
        unit: last.unit,
        warning: last.warning,
        critical: last.critical,
        points,
        latest: last.value,
        min: values.reduce((a, b) => Math.min(a, b)),
        max: values.reduce((a, b) => Math.max(a, b)),
        average: values.reduce((a, b) => a + b, 0) / values.length,
      },
    ];
  });
}

function incidentsOf(rows: readonly ResultRow[]): Incident[] {
  const incidents: Incident[] = [];
  for (const group of groupBy(rows, thingOf).values()) {
    let open: Incident | undefined;
    for (const row of group) {
      const bad = row.status === 'warning' || row.status === 'critical';
      if (bad && open) {
        if (row.status === 'critical' && open.severity !== 'critical') {
          open.severity = 'critical';
          open.message = row.message;
        }
      } else if (bad) {
        open = {
          device: row.device,
          check: row.check_name,
          instance: row.instance,
          severity: row.status,
          from: row.at,
          to: null,
          minutes: null,
          message: row.message,
        };
        incidents.push(open);
      } else if (open && row.status === 'healthy') {
        // An `unknown` in between says nothing about recovery, so it does not end an incident.
        open.to = row.at;
        open.minutes = (Date.parse(row.at) - Date.parse(open.from)) / 60_000;
        open = undefined;
      }
    }
  }
  return incidents.sort((a, b) => b.from.localeCompare(a.from));
}

function availabilityOf(name: string, rows: readonly ResultRow[]): Availability {
  const { total, unknown, critical } = summarize(rows.map((row) => row.status));
  const known = total - unknown;
  return { name, known, unknown, percent: known === 0 ? null : ((known - critical) / known) * 100 };
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
