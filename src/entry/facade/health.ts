import { z } from 'zod';
import { type Availability, deviceStretches, summarizeAvailability } from '../../domain/availability.ts';
import {
  bySeverity,
  checkValueSchema,
  type CheckResult,
  type Status,
  summarize,
  type Summary,
  worst,
} from '../../domain/check/check.ts';
import { requireCheckType } from '../../domain/check/check-type.ts';
import { thresholdLevels } from '../../domain/check/monitoring.ts';
import {
  type Effective,
  effectiveThresholds,
  type ThresholdSettings,
} from '../../domain/check/thresholds.ts';
import { clientNotFound, getClient, listClients } from '../../domain/client.ts';
import type { Clock } from '../../domain/clock.ts';
import { listDevices } from '../../domain/device.ts';
import { DomainError } from '../../domain/errors.ts';
import { readGrid } from '../../domain/history/grid.ts';
import { storedResults } from '../../domain/history/results.ts';
import { readTimelines, spanStates, timeInStates } from '../../domain/history/spans.ts';
import { toWindow } from '../../domain/maintenance.ts';
import { parsePeriod, type Period } from '../../domain/period.ts';
import type { Storage } from '../../domain/storage/storage.ts';
import type { HealthCheckSummary } from '../../jobs/health-check.ts';
import { catalogue } from '../../workers/probes/index.ts';
import type { Config } from '../config.ts';
import { monitorSettings } from '../ports.ts';
import type { Start, Started } from '../toolkit.ts';

export interface HealthCheckResult extends Pick<HealthCheckSummary, 'status' | 'summary'> {
  clientId: string;
  results: CheckResult[];
}

export interface ClientStatus {
  clientId: string;
  name: string;
  status: Status;
  summary: Summary;
  /** Alerts that are not resolved. */
  alerts: number;
  /** When the newest result was measured; null for no data. */
  at: string | null;
}

/** How much of a value was rolled up into one: a stretch of time with its figures; `count` 0 where there was no data. */
export const historyPointSchema = z.object({
  from: z.string(),
  to: z.string(),
  min: z.number().nullable(),
  avg: z.number().nullable(),
  max: z.number().nullable(),
  count: z.number(),
  seconds: z
    .object(Object.fromEntries(spanStates.map((state) => [state, z.number()])))
    .describe('in each state; what is missing is not known'),
});

export const historySeriesSchema = z.object({
  clientId: z.string(),
  deviceId: z.string(),
  device: z.string(),
  check: z.string(),
  instance: z.string().nullable(),
  value: checkValueSchema.shape.name,
  unit: z.string().nullable(),
  points: z.array(historyPointSchema),
});
export type HistorySeries = z.infer<typeof historySeriesSchema>;

export interface HistoryWish {
  days?: number | undefined;
  deviceId?: string | undefined;
  check?: string | undefined;
}

export interface ThresholdRow extends Omit<Effective, 'value'> {
  value: string;
  /** null for all devices of the client. */
  device: string | null;
}

export interface Health {
  /** Throws CLIENT_NOT_FOUND, or USAGE for a check that does not exist. */
  check(clientId: string, options?: { checks?: string[] }): Promise<Started<HealthCheckResult>>;
  /** Raw results of the last `days` days, oldest first, as far as they are kept. */
  history(clientId: string, options?: HistoryWish): Promise<CheckResult[]>;
  /** The same rolled up by the minute, hour or day of the client's timezone. */
  series(
    clientId: string,
    options: HistoryWish & { by: 'minute' | 'hour' | 'day' },
  ): Promise<HistorySeries[]>;
  /** Where every client stands, worst first. What was measured too long ago counts as unknown. */
  status(): Promise<ClientStatus[]>;
  /** The limits in force for a client's devices, and where each comes from; those of a device where they differ. */
  thresholds(clientId: string): Promise<ThresholdRow[]>;
  /** Up, down and unknown over a period such as 2026-10, of the client and of each device. */
  availability(
    clientId: string,
    period: string,
  ): Promise<{ clientId: string; period: Period; overall: Availability; devices: Availability[] }>;
}

const dayMs = 86_400_000;

/** Longer ago than anything is kept. */
const mostDays = 3660;

/** A figure of a 4-byte number: what follows its seventh digit is noise. */
function figure(value: number | undefined): number {
  return Number((value ?? 0).toPrecision(6));
}

export function openHealth(parts: { storage: Storage; clock: Clock; config: Config; start: Start }): Health {
  const { storage, clock, config } = parts;

  async function range(clientId: string, { days = 7 }: HistoryWish) {
    const client = await getClient(storage, clientId);
    const to = clock.now().getTime() + 1;
    if (!(days > 0 && days <= mostDays)) {
      throw new DomainError('VALIDATION', `History goes back for ${mostDays} days at most.`, {
        details: { days },
      });
    }
    return { client, from: to - days * dayMs, to };
  }

  return {
    async check(clientId, { checks } = {}) {
      await getClient(storage, clientId);
      for (const name of checks ?? []) requireCheckType(catalogue, name);
      const { healthCheck } = await import('../../jobs/health-check.ts');
      const started = await parts.start(healthCheck, { clientId, ...(checks ? { checks } : {}) });
      return {
        ...started,
        async result(waiting) {
          const found = await started.result(waiting);
          const runs = storage.read.runsOfJob(started.job.id);
          const { status, summary } = found;
          return { clientId, status, summary, results: storedResults(storage.read, clientId, runs) };
        },
      };
    },

    async history(clientId, wish = {}) {
      const { from, to } = await range(clientId, wish);
      const since = new Date(from).toISOString();
      return storedResults(storage.read, clientId, storage.read.runsBetween(clientId, from, to)).filter(
        (r) =>
          r.at >= since &&
          (wish.check === undefined || r.check === wish.check) &&
          (wish.deviceId === undefined || r.deviceId === wish.deviceId),
      );
    },

    async series(clientId, wish) {
      const { client, from: asked, to } = await range(clientId, wish);
      const { deviceId, check } = wish;
      // Beyond what is kept there is nothing to be found.
      const kept = { minute: 'minuteDays', hour: 'hourDays', day: 'dayDays' } as const;
      const from = Math.max(asked, to - (config.history[kept[wish.by]] + 1) * dayMs);
      const { timezone } = client;
      const grid = readGrid(storage.read, { clientId, timezone, level: wish.by, from, to, deviceId, check });
      const names = new Map((await listDevices(storage, { clientId })).map((d) => [d.id, d.name]));
      const timelines = readTimelines(storage.read, {
        clientId,
        deviceId,
        from: grid.buckets[0]?.start ?? from,
        to: grid.buckets.at(-1)?.until ?? to,
        now: clock.now().getTime(),
      });
      const spans = new Map(timelines.map(({ thing, spans: all }) => [thing.id, all]));
      const iso = (ms: number) => new Date(ms).toISOString();
      return grid.series.map((s) => {
        const times = timeInStates(spans.get(s.stateId) ?? [], grid.buckets);
        return {
          clientId,
          deviceId: s.deviceId,
          device: names.get(s.deviceId) ?? s.deviceId,
          check: s.check,
          instance: s.instance || null,
          value: s.value,
          unit: s.unit,
          points: grid.buckets.map((bucket, i) => {
            const count = s.count[i] ?? 0;
            const time = times[i];
            return {
              from: iso(bucket.start),
              to: iso(bucket.until),
              min: count > 0 ? figure(s.min[i]) : null,
              avg: count > 0 ? figure(s.avg[i]) : null,
              max: count > 0 ? figure(s.max[i]) : null,
              count,
              seconds: Object.fromEntries(
                spanStates.map((state) => [state, Math.round((time?.[state] ?? 0) / 1000)]),
              ),
            };
          }),
        };
      });
    },

    async status() {
      const rows = Map.groupBy(storage.read.standings(clock.now().toISOString()), (row) => row.client_id);
      const alerts = storage.read.countAlerts();
      return (await listClients(storage))
        .map(({ id, name }) => {
          const summary = summarize([]);
          let at: string | null = null;
          for (const row of rows.get(id) ?? []) {
            const status = row.unreachable ? 'unknown' : row.status;
            summary[status] += row.n;
            summary.total += row.n;
            if (at === null || row.at > at) at = row.at;
          }
          const found = (['critical', 'warning', 'unknown', 'healthy'] as const).filter(
            (s) => summary[s] > 0,
          );
          return { clientId: id, name, status: worst(found), summary, alerts: alerts.get(id) ?? 0, at };
        })
        .sort(
          (a, b) =>
            bySeverity(a.status, b.status) ||
            b.summary.critical - a.summary.critical ||
            b.summary.warning - a.summary.warning ||
            a.clientId.localeCompare(b.clientId),
        );
    },

    async thresholds(clientId) {
      const client = storage.read.clientBrief(clientId);
      if (!client) throw clientNotFound(clientId);
      const levels = thresholdLevels(monitorSettings(config), client);
      const rows: ThresholdRow[] = [...effectiveThresholds(catalogue, levels).values()].map((e) => ({
        ...e,
        device: null,
      }));
      for (const device of await listDevices(storage, { clientId })) {
        const own: ThresholdSettings | undefined = device.metadata.thresholds;
        if (!own) continue;
        const all = effectiveThresholds(catalogue, [
          ...levels,
          { from: `device ${device.name}`, settings: own },
        ]);
        for (const key of Object.keys(own)) {
          const effective = all.get(key);
          if (effective) rows.push({ ...effective, device: device.name });
        }
      }
      return rows;
    },

    async availability(clientId, text) {
      const client = await getClient(storage, clientId);
      const now = clock.now();
      const period = parsePeriod(text, client.timezone, now);
      const [from, end] = [Date.parse(period.from), Math.min(Date.parse(period.to), now.getTime())];
      if (from >= end) {
        throw new DomainError('VALIDATION', `The period ${text} has not begun yet.`, { details: { period } });
      }
      const windows = storage.read.windows(clientId, period.from).map(toWindow);
      const rules = {
        windows,
        reachability: config.healthChecks.reachability,
        maintenanceCounts: config.availability.maintenance === 'counted',
      };
      const timelines = Map.groupBy(
        readTimelines(storage.read, { clientId, from, to: end, now: now.getTime() }),
        ({ thing }) => thing.device_id,
      );
      const all = (await listDevices(storage, { clientId })).map(({ id, name }) => {
        const device = { clientId, deviceId: id };
        return {
          name,
          stretches: deviceStretches(timelines.get(id) ?? [], device, { from, to: end }, rules),
        };
      });
      return {
        clientId,
        period,
        overall: summarizeAvailability(
          'all devices',
          all.map(({ stretches }) => stretches),
        ),
        devices: all.map(({ name, stretches }) => summarizeAvailability(name, [stretches])),
      };
    },
  };
}
