import { z } from 'zod';
import { DomainError, parseWith } from '../errors.ts';
import type { AppliedLimits, Measurement, Status } from './check.ts';
import type { Catalogue, CheckType, ValueSpec } from './check-type.ts';
import { isBreached, parseRange } from './range.ts';

/** A number, a range in the notation of monitoring plugins, or null for no limit. */
export type Limit = number | string | null;

const limitSchema = z.union([
  z.number(),
  z
    .string()
    .refine((text) => parseRange(text) !== undefined, 'must be a number or a range such as 10:20 or @10:20'),
  z.null(),
]);

/** What may be set for one value; what is left out comes from the next level. */
export interface ThresholdSetting {
  warning?: Limit | undefined;
  critical?: Limit | undefined;
  hysteresis?: number | undefined;
}

/** By `check` for its main value, by `check.value` for another. */
export type ThresholdSettings = Record<string, ThresholdSetting>;

function settingSchema(worse: 'above' | 'below') {
  return z
    .strictObject({
      warning: limitSchema.optional(),
      critical: limitSchema.optional(),
      hysteresis: z
        .number()
        .min(0)
        .optional()
        .describe('How far a value must come back behind a limit before it counts as left.'),
    })
    .refine(
      ({ warning, critical }) =>
        typeof warning !== 'number' ||
        typeof critical !== 'number' ||
        (worse === 'above' ? warning <= critical : warning >= critical),
      { error: `warning must not be ${worse} critical` },
    );
}

/** Key and declaration of every value that a check type declares. */
export function valueKeys(type: CheckType): [key: string, name: string, spec: ValueSpec][] {
  return Object.entries(type.values).map(([name, spec], index) => [
    index === 0 ? type.name : `${type.name}.${name}`,
    name,
    spec,
  ]);
}

/** The schema of a set of thresholds: every key that the catalogue knows, each optional. */
export function thresholdsSchemaOf(catalogue: Catalogue) {
  const shape = Object.fromEntries(
    catalogue.flatMap((type) =>
      valueKeys(type).map(([key, , spec]) => [
        key,
        settingSchema(spec.worse ?? 'above')
          .optional()
          .meta({
            description: `${spec.about}, in ${spec.unit}.`,
            examples: [{ warning: spec.warning ?? null, critical: spec.critical ?? null }],
          }),
      ]),
    ),
  );
  const open = catalogue.filter((type) => type.openValues).map((type) => type.name);
  return z
    .object(shape)
    .catchall(settingSchema('above'))
    .superRefine((value, issue) => {
      for (const key of Object.keys(value)) {
        if (key in shape || open.some((name) => key.startsWith(`${name}.`))) continue;
        issue.addIssue({ code: 'unrecognized_keys', keys: [key], input: value });
      }
    }) as unknown as z.ZodType<ThresholdSettings, ThresholdSettings>;
}

/** A set of thresholds whose keys are yet to be compared with the catalogue. */
export const looseThresholdsSchema = z.record(
  z.string(),
  z.strictObject({
    warning: limitSchema.optional(),
    critical: limitSchema.optional(),
    hysteresis: z.number().min(0).optional(),
  }),
);

/** What is the wrong way round among limits, in a sentence; undefined where nothing is. */
export function wrongWayRound(all: ReadonlyMap<string, Effective>): string | undefined {
  for (const { key, worse, warning, critical, warningFrom, criticalFrom } of all.values()) {
    if (typeof warning !== 'number' || typeof critical !== 'number') continue;
    if (worse === 'above' ? warning > critical : warning < critical) {
      return `${key}: warning ${warning} (${warningFrom}) must not be ${worse} critical ${critical} (${criticalFrom})`;
    }
  }
  return undefined;
}

/** Refuses thresholds of values that do not exist, or that are the wrong way round with those before. Throws VALIDATION. */
export function assertThresholds(
  catalogue: Catalogue,
  before: readonly ThresholdLevel[],
  own: unknown,
): void {
  if (own === undefined) return;
  const settings = parseWith(thresholdsSchemaOf(catalogue), own, 'set of thresholds');
  const wrong = wrongWayRound(effectiveThresholds(catalogue, [...before, { from: 'given here', settings }]));
  if (wrong) throw new DomainError('VALIDATION', `The set of thresholds is not valid: ${wrong}.`);
}

/** Where thresholds can be set; each later one wins over those before it. */
export interface ThresholdLevel {
  /** Such as `configuration`, `tier gold`, `client acme`. */
  from: string;
  settings: ThresholdSettings | undefined;
}

export interface Effective {
  key: string;
  check: string;
  value: string;
  unit: string;
  worse: 'above' | 'below';
  warning: Limit;
  warningFrom: string;
  critical: Limit;
  criticalFrom: string;
  hysteresis: number;
}

/** The limits in force for each value, and where each comes from. */
export function effectiveThresholds(
  catalogue: Catalogue,
  levels: readonly ThresholdLevel[],
): Map<string, Effective> {
  const all = new Map<string, Effective>();
  for (const type of catalogue) {
    for (const [key, name, spec] of valueKeys(type)) {
      all.set(key, {
        key,
        check: type.name,
        value: name,
        unit: spec.unit,
        worse: spec.worse ?? 'above',
        warning: spec.warning ?? null,
        warningFrom: 'default',
        critical: spec.critical ?? null,
        criticalFrom: 'default',
        hysteresis: 0,
      });
    }
  }
  for (const { from, settings } of levels) overlay(all, from, settings);
  return all;
}

/** Lays one more level over `all`. */
function overlay(all: Map<string, Effective>, from: string, settings: ThresholdSettings | undefined): void {
  for (const [key, { warning, critical, hysteresis }] of Object.entries(settings ?? {})) {
    const [check = '', ...rest] = key.split('.');
    const before = all.get(key) ?? {
      key,
      check,
      value: rest.join('.'),
      unit: '',
      worse: 'above' as const,
      warning: null,
      warningFrom: 'default',
      critical: null,
      criticalFrom: 'default',
      hysteresis: 0,
    };
    all.set(key, {
      ...before,
      ...(warning === undefined ? {} : { warning, warningFrom: from }),
      ...(critical === undefined ? {} : { critical, criticalFrom: from }),
      ...(hysteresis === undefined ? {} : { hysteresis }),
    });
  }
}

/** The same with one more level; `base` itself where that level says nothing. */
export function withLevel(base: Map<string, Effective>, level: ThresholdLevel): Map<string, Effective> {
  if (!level.settings || Object.keys(level.settings).length === 0) return base;
  const all = new Map(base);
  overlay(all, level.from, level.settings);
  return all;
}

/** @param slack how far behind the limit a value still counts as beyond it */
function isBeyond(limit: Limit, value: number, worse: 'above' | 'below', slack: number): boolean {
  if (limit === null) return false;
  if (typeof limit === 'number') return worse === 'above' ? value >= limit - slack : value <= limit + slack;
  const range = parseRange(limit);
  if (!range) return false;
  if (isBreached(range, value)) return true;
  return slack > 0 && (isBreached(range, value - slack) || isBreached(range, value + slack));
}

/**
 * Turns a measurement into a status: the worst of the check's own verdict and of each value by its limits. Without a
 * verdict a main value that is missing or no number makes it `unknown`, never healthy.
 *
 * @param before the status so far, which hysteresis holds on to
 */
export function judge(
  measurement: Pick<Measurement, 'check' | 'status' | 'values'>,
  limits: ReadonlyMap<string, Effective>,
  before?: Status,
): { status: Status; thresholds: AppliedLimits | null } {
  const { check, values } = measurement;
  let applied: AppliedLimits | null = null;
  let found: Status | undefined = measurement.status ?? undefined;
  for (let index = 0; index < values.length; index += 1) {
    const value = values[index];
    if (!value) continue;
    const main = index === 0 ? limits.get(check) : undefined;
    const limit = main?.value === value.name ? main : (limits.get(`${check}.${value.name}`) ?? main);
    const limited = limit !== undefined && (limit.warning !== null || limit.critical !== null);
    if (index === 0 && limited) applied = { warning: limit.warning, critical: limit.critical };
    if (!limited || value.value === null) continue;
    if (!Number.isFinite(value.value)) continue;
    const { worse, hysteresis } = limit;
    const hold = (status: 'warning' | 'critical') =>
      before === 'critical' || before === status ? hysteresis : 0;
    const status = isBeyond(limit.critical, value.value, worse, hold('critical'))
      ? 'critical'
      : isBeyond(limit.warning, value.value, worse, hold('warning'))
        ? 'warning'
        : 'healthy';
    if (found === undefined || found === 'healthy' || (found === 'warning' && status === 'critical')) {
      found = status;
    }
  }
  // Without a verdict of its own the main value must be there: another one can't stand for it.
  const main = values[0]?.value ?? null;
  const blind = measurement.status === null && (main === null || !Number.isFinite(main));
  if (blind && (found === undefined || found === 'healthy')) found = 'unknown';
  return { status: found ?? 'healthy', thresholds: applied };
}
