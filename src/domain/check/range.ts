/** The values for which a monitoring plugin raises no alert; `inside` turns it round. */
export interface Range {
  start: number;
  end: number;
  inside: boolean;
}

const number = String.raw`[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?`;
const form = new RegExp(`^(@?)(?:(~|${number})?:)?(${number})?$`);

/**
 * Reads a range as the Monitoring Plugins guidelines define it: `10` (alert outside 0 to 10), `10:` (below 10), `~:10`
 * (above 10), `10:20` (outside), `@10:20` (inside, ends included). Undefined for what is none.
 *
 * Source: https://www.monitoring-plugins.org/doc/guidelines.html, "Threshold and Ranges".
 */
export function parseRange(text: string): Range | undefined {
  const match = form.exec(text.trim());
  if (!match) return undefined;
  const [, at, from, to] = match;
  const hasColon = text.includes(':');
  if (to === undefined && !hasColon) return undefined;
  const start = from === '~' ? Number.NEGATIVE_INFINITY : from === undefined ? 0 : Number(from);
  const end = to === undefined ? Number.POSITIVE_INFINITY : Number(to);
  return start > end ? undefined : { start, end, inside: at === '@' };
}

/** Whether `value` raises an alert by `range`. */
export function isBreached(range: Range, value: number): boolean {
  const within = value >= range.start && value <= range.end;
  return range.inside ? within : !within;
}
