import { InvalidArgumentError } from 'commander';

const units: Record<string, number> = { m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 };

/** `30m`, `4h`, `2d`, `1w` in ms; undefined for anything else. */
export function parseDuration(text: string): number | undefined {
  const match = /^(\d{1,5})([mhdw])$/.exec(text.trim());
  const ms = Number(match?.[1]) * (units[match?.[2] ?? ''] ?? Number.NaN);
  return ms > 0 ? ms : undefined;
}

/** A duration as an option. */
export function durationMs(text: string): number {
  const ms = parseDuration(text);
  if (ms === undefined) throw new InvalidArgumentError('It must be a duration such as 30m, 4h or 2d.');
  return ms;
}

/** A time to come, as an option: a duration from now, or the time itself. Answers in ISO 8601. */
export function futureTime(text: string): string {
  const ms = parseDuration(text);
  const at = ms === undefined ? Date.parse(text) : Date.now() + ms;
  if (!Number.isFinite(at)) {
    throw new InvalidArgumentError(
      'It must be a duration such as 4h or 2d, or a time such as 2026-12-01T08:00Z.',
    );
  }
  return new Date(at).toISOString();
}

/** A time as an option, in the machine's own timezone unless it names one. Answers in ISO 8601. */
export function timeOf(text: string): string {
  const at = Date.parse(text);
  if (!Number.isFinite(at)) {
    throw new InvalidArgumentError('It must be a time such as 2026-12-01T22:00 or 2026-12-01T22:00Z.');
  }
  return new Date(at).toISOString();
}
