import type { CheckName, Measurement } from '../../domain/check.ts';
import type { ProbeTarget, ProbeWish } from '../../domain/ports.ts';

/** What a probe finds; the prober adds the check's name and the time. */
export type Finding = Pick<Measurement, 'value' | 'unit' | 'message'> &
  Partial<Pick<Measurement, 'status' | 'instance'>>;

/**
 * Measures one kind of thing on the machine it runs on. It answers with at least one finding, obeys the signal, and
 * answers `unknown` with a reason where there is nothing it can measure.
 */
export interface Probe {
  check: CheckName;
  measure(device: ProbeTarget, wish: ProbeWish, signal: AbortSignal): Promise<Finding[]>;
}

export function percent(part: number, whole: number): number {
  return Math.round((part / whole) * 1000) / 10;
}

export function unknown(reason: string): Finding[] {
  return [{ status: 'unknown', value: null, unit: null, message: reason }];
}

/** Bytes for people: `13.4 GiB`. */
export function bytes(n: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];
  let value = n;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${value.toFixed(unit === 0 ? 0 : 1)} ${units[unit]}`;
}
