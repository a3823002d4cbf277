import { z } from 'zod';

export const statuses = ['healthy', 'warning', 'critical', 'unknown'] as const;
export type Status = (typeof statuses)[number];

/** What a check type is called; which there are, the catalogue knows. */
export const checkNameSchema = z
  .string()
  .regex(/^[a-z][a-z0-9-]{0,31}$/, 'must be the name of a check, such as cpu');

/** One figure of a result. `null` where it could not be had. */
export const checkValueSchema = z.object({
  name: z.string(),
  value: z.number().nullable(),
  unit: z.string().nullable(),
});
export type CheckValue = z.infer<typeof checkValueSchema>;

/**
 * What a check answers for one thing it looked at; `instance` tells several of a kind apart: a mount point, say.
 * `status` is the check's own verdict, null where thresholds alone decide. The first of `values` is the main one.
 */
export const measurementSchema = z.object({
  check: checkNameSchema,
  instance: z.string(),
  status: z.enum(statuses).nullable(),
  message: z.string(),
  values: z.array(checkValueSchema),
  at: z.string(),
  ms: z.number(),
});
export type Measurement = z.infer<typeof measurementSchema>;

/** The measurement of what could not be measured. */
export function unmeasured(check: string, reason: string, at: string, ms = 0): Measurement {
  return { check, instance: '', status: 'unknown', message: reason, values: [], at, ms };
}

/** A limit as it applies: a number, or a range in the notation of monitoring plugins; null for none. */
const limitShape = z.union([z.number(), z.string()]).nullable();

export const appliedLimitsSchema = z.object({ warning: limitShape, critical: limitShape });
export type AppliedLimits = z.infer<typeof appliedLimitsSchema>;

export const checkResultSchema = z.object({
  clientId: z.string(),
  deviceId: z.string(),
  check: z.string(),
  instance: z.string().nullable(),
  status: z.enum(statuses),
  message: z.string(),
  value: z.number().nullable().describe('the main value'),
  unit: z.string().nullable(),
  thresholds: appliedLimitsSchema.nullable().describe('what the main value was judged by'),
  values: z.array(checkValueSchema).describe('every value, the main one first'),
  at: z.string(),
  ms: z.number().describe('how long the measurement took'),
});
export type CheckResult = z.infer<typeof checkResultSchema>;

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

/** Two summaries as one. */
export function addUp(a: Summary, b: Summary): Summary {
  return {
    total: a.total + b.total,
    healthy: a.healthy + b.healthy,
    warning: a.warning + b.warning,
    critical: a.critical + b.critical,
    unknown: a.unknown + b.unknown,
  };
}

export function summarize(all: readonly Status[]): Summary {
  const summary: Summary = { total: all.length, healthy: 0, warning: 0, critical: 0, unknown: 0 };
  for (const status of all) summary[status] += 1;
  return summary;
}
