import { Temporal } from 'temporal-polyfill';

export const hourMs = 3_600_000;

/** A half-open stretch of time, in ms since the epoch. */
export interface Bucket {
  start: number;
  until: number;
}

/** The day of a timezone that `at` lies in: 23, 24 or 25 hours, as its clocks have it. */
export function dayAt(at: number, timezone: string): Bucket {
  const start = Temporal.Instant.fromEpochMilliseconds(at).toZonedDateTimeISO(timezone).startOfDay();
  return { start: start.epochMilliseconds, until: start.add({ days: 1 }).startOfDay().epochMilliseconds };
}

/**
 * The hour that `at` lies in. Hours are counted from local midnight, so that a day is always made of whole hours, also
 * where the timezone is off by half an hour or its clocks change.
 */
export function hourAt(at: number, timezone: string): Bucket {
  const day = dayAt(at, timezone);
  const start = day.start + Math.floor((at - day.start) / hourMs) * hourMs;
  return { start, until: Math.min(start + hourMs, day.until) };
}

/** The buckets of one level that overlap a half-open period, in order. */
export function bucketsBetween(
  level: 'minute' | 'hour' | 'day',
  from: number,
  to: number,
  timezone: string,
): Bucket[] {
  const buckets: Bucket[] = [];
  if (level === 'minute') {
    for (let start = Math.floor(from / 60_000) * 60_000; start < to; start += 60_000)
      buckets.push({ start, until: start + 60_000 });
    return buckets;
  }
  let day = dayAt(from, timezone);
  while (day.start < to) {
    if (level === 'day') buckets.push(day);
    else {
      for (let start = day.start; start < day.until && start < to; start += hourMs) {
        const until = Math.min(start + hourMs, day.until);
        if (until > from) buckets.push({ start, until });
      }
    }
    day = dayAt(day.until, timezone);
  }
  return buckets;
}

/** The index of the bucket that `at` lies in, or -1. */
export function indexOfBucket(buckets: readonly Bucket[], at: number): number {
  let low = 0;
  let high = buckets.length - 1;
  while (low <= high) {
    const middle = (low + high) >> 1;
    const bucket = buckets[middle];
    if (!bucket) return -1;
    if (at < bucket.start) high = middle - 1;
    else if (at >= bucket.until) low = middle + 1;
    else return middle;
  }
  return -1;
}
