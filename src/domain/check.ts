import { defineEntity, p } from '@mikro-orm/sqlite';
import { z } from 'zod';
import { ClientEntity } from './client.ts';
import { DeviceEntity } from './device.ts';

export const checkNames = ['cpu', 'memory', 'disk', 'services', 'network'] as const;
export type CheckName = (typeof checkNames)[number];

export const statuses = ['healthy', 'warning', 'critical', 'unknown'] as const;
export type Status = (typeof statuses)[number];

const percent = z.number().min(0).max(100);

export const thresholdSchema = z.strictObject({ warning: percent, critical: percent });
export type Threshold = z.infer<typeof thresholdSchema>;

/** Either limit may be left out; what is given is checked together with what is not. */
function limits(warning: number, critical: number) {
  return z
    .strictObject({ warning: percent.default(warning), critical: percent.default(critical) })
    .refine((t) => t.warning <= t.critical, { error: 'warning must not be above critical' })
    .prefault({});
}

/** Thresholds in percent, for each check that has them. */
export const thresholdsSchema = z.strictObject({
  cpu: limits(85, 95),
  memory: limits(90, 95),
  disk: limits(85, 95),
});
export type Thresholds = z.infer<typeof thresholdsSchema>;

/** One stored value of one check on one device. `instance` tells several of a kind apart: a mount point, say. */
export const CheckResultEntity = defineEntity({
  name: 'CheckResult',
  tableName: 'check_results',
  properties: {
    id: p.integer().primary().autoincrement(),
    jobId: p.string(),
    client: () => p.manyToOne(ClientEntity).mapToPk().deleteRule('cascade').index(false),
    device: () => p.manyToOne(DeviceEntity).mapToPk().deleteRule('cascade').index(false),
    check: p.string().$type<CheckName>().fieldName('check_name'),
    instance: p.string(),
    status: p.string().$type<Status>(),
    message: p.string(),
    value: p.double().nullable(),
    unit: p.string().nullable(),
    warning: p.double().nullable(),
    critical: p.double().nullable(),
    at: p.string(),
    attempt: p.integer(),
  },
  uniques: [{ properties: ['jobId', 'device', 'check', 'instance'] }],
  indexes: [{ properties: ['client', 'at'] }, { properties: ['device', 'check', 'at'] }],
});

/**
 * What a probe answers for one thing it looked at. `status` is null where thresholds decide; a probe that could
 * not measure says `unknown` and why.
 */
export const measurementSchema = z.object({
  check: z.enum(checkNames),
  instance: z.string(),
  status: z.enum(statuses).nullable(),
  value: z.number().nullable(),
  unit: z.string().nullable(),
  message: z.string(),
  at: z.string(),
});
export type Measurement = z.infer<typeof measurementSchema>;

/** The measurement of what could not be measured. */
export function unmeasured(check: CheckName, reason: string, at: string): Measurement {
  return { check, instance: '', status: 'unknown', value: null, unit: null, message: reason, at };
}

export const checkResultSchema = z.object({
  clientId: z.string(),
  deviceId: z.string(),
  check: z.enum(checkNames),
  instance: z.string().nullable(),
  status: z.enum(statuses),
  message: z.string(),
  value: z.number().nullable(),
  unit: z.string().nullable(),
  thresholds: thresholdSchema.nullable(),
  at: z.string(),
});
export type CheckResult = z.infer<typeof checkResultSchema>;

/** Turns a measurement into a status. A missing value is `unknown`, never healthy. */
export function evaluate(
  measurement: Measurement,
  thresholds: Thresholds,
): { status: Status; thresholds: Threshold | null } {
  const threshold =
    measurement.check in thresholds ? thresholds[measurement.check as keyof Thresholds] : null;
  if (measurement.status !== null) return { status: measurement.status, thresholds: null };
  if (measurement.value === null || threshold === null || !Number.isFinite(measurement.value)) {
    return { status: 'unknown', thresholds: threshold };
  }
  if (measurement.value >= threshold.critical) return { status: 'critical', thresholds: threshold };
  if (measurement.value >= threshold.warning) return { status: 'warning', thresholds: threshold };
  return { status: 'healthy', thresholds: threshold };
}

const severity: Record<Status, number> = { healthy: 0, unknown: 1, warning: 2, critical: 3 };

/** The worst of several; `unknown` for none, since nothing is known. */
export function worst(all: readonly Status[]): Status {
  return (
    all.reduce<Status | undefined>(
      (a, b) => (a === undefined || severity[b] > severity[a] ? b : a),
      undefined,
    ) ?? 'unknown'
  );
}

export function bySeverity(a: Status, b: Status): number {
  return severity[b] - severity[a];
}

export const summarySchema = z.object({
  total: z.number(),
  healthy: z.number(),
  warning: z.number(),
  critical: z.number(),
  unknown: z.number(),
});
export type Summary = z.infer<typeof summarySchema>;

export function summarize(all: readonly Status[]): Summary {
  const summary: Summary = { total: all.length, healthy: 0, warning: 0, critical: 0, unknown: 0 };
  for (const status of all) summary[status] += 1;
  return summary;
}
