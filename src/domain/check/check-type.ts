import type { z } from 'zod';
import type { Clock } from '../clock.ts';
import { DomainError } from '../errors.ts';
import type { ProbeTarget } from '../ports.ts';
import type { CheckValue, Status } from './check.ts';
import type { Limit } from './thresholds.ts';

/** One of the values that a check answers with. */
export interface ValueSpec {
  unit: string;
  about: string;
  /** On which side of its limits a value is bad. Default: above. */
  worse?: 'above' | 'below';
  warning?: Limit;
  critical?: Limit;
}

/** Earlier values of one instance, oldest first: [epoch ms, value]. */
export type Trend = readonly (readonly [number, number])[];

/** What a measurement is given beside the device and its settings. */
export interface MeasureContext {
  /** Aborted when time is up or nobody waits any more. */
  signal: AbortSignal;
  clock: Clock;
  /** By instance, for types that ask for a trend. */
  trend: Readonly<Record<string, Trend>>;
  /** Why this machine must not talk to an address, or undefined where it may. */
  forbidden(address: string): string | undefined;
  /** Folders that hold the plugins that may be run here. */
  pluginFolders: readonly string[];
}

/** What a check found out about one thing; the prober adds the check's name, the time and the duration. */
export interface Finding {
  /** Default: '', the only one. */
  instance?: string;
  /** The check's own verdict. Thresholds can make it worse, not better. */
  status?: Status;
  message: string;
  values?: CheckValue[];
}

/**
 * The contract of a check type: one file that implements it, and a line in the catalogue. It needs no database, so that
 * it can run wherever Redis is reached. It answers with at least one finding, obeys the signal, never takes much longer
 * than its time limit, and answers `unknown` with the reason where it can't measure.
 */
export interface CheckType<S extends z.ZodType = z.ZodType> {
  name: string;
  about: string;
  /** Whether it must run on the device itself or looks at it over the network. */
  runs: 'on-device' | 'anywhere';
  /** What may be set for a device. */
  settings: S;
  /** The first is the main one. */
  values: Record<string, ValueSpec>;
  /** Whether it may answer with values beside those declared. */
  openValues?: boolean;
  /** In ms, for one set of settings. */
  timeoutMs(settings: z.infer<S>): number;
  /** Whether it finds out by itself what there is, so that what is missing one day is news. */
  discovers?: boolean;
  /** The value whose earlier course it wants to know. */
  trend?: string;
  measure(device: ProbeTarget, settings: z.infer<S>, around: MeasureContext): Promise<Finding[]>;
}

/** Declares a check type. */
export function defineCheck<S extends z.ZodType>(spec: CheckType<S>): CheckType {
  return spec as unknown as CheckType;
}

/** Every check type there is. */
export type Catalogue = readonly CheckType[];

/** Throws USAGE for a name that is not in the catalogue. */
export function requireCheckType(catalogue: Catalogue, name: string): CheckType {
  const found = catalogue.find((type) => type.name === name);
  if (found) return found;
  const known = catalogue.map((type) => type.name).join(', ');
  throw new DomainError('USAGE', `There is no check "${name}".`, {
    details: { check: name },
    hint: `Known are: ${known}.`,
  });
}

export function unknown(reason: string): Finding[] {
  return [{ status: 'unknown', message: reason }];
}
