import { Temporal } from 'temporal-polyfill';
import { DomainError } from './errors.ts';

/** A half-open span of time, ISO 8601 in UTC: `from` belongs to it, `to` does not. */
export interface Period {
  from: string;
  to: string;
}

function iso(at: Temporal.ZonedDateTime): string {
  return new Date(at.epochMilliseconds).toISOString();
}

/**
 * Reads `2026-10` (that month), `2026-10-05` (that day), `2026-10-05..2026-10-18` (both days included) or `last-30-days` (whole days up to the end of today) in
 * the client's timezone, so that a month is as long there as the calendar says, DST included.
 *
 * Throws VALIDATION.
 */
export function parsePeriod(text: string, timezone: string, now: Date): Period {
  const last = /^last-(\d{1,4})-days$/.exec(text);
  if (last && Number(last[1]) > 0) {
    const today = Temporal.Instant.fromEpochMilliseconds(now.getTime())
      .toZonedDateTimeISO(timezone)
      .startOfDay();
    const end = today.add({ days: 1 });
    return { from: iso(end.subtract({ days: Number(last[1]) })), to: iso(end) };
  }
  try {
    if (/^\d{4}-\d{2}$/.test(text)) {
      const start = Temporal.PlainDate.from(`${text}-01`).toZonedDateTime(timezone);
      return { from: iso(start), to: iso(start.add({ months: 1 })) };
    }
    const days = /^(\d{4}-\d{2}-\d{2})\.\.(\d{4}-\d{2}-\d{2})$/.exec(text);
    if (days?.[1] && days[2] && days[1] <= days[2]) {
      const [first, final] = [Temporal.PlainDate.from(days[1]), Temporal.PlainDate.from(days[2])];
      return {
        from: iso(first.toZonedDateTime(timezone)),
        to: iso(final.add({ days: 1 }).toZonedDateTime(timezone)),
      };
    }
    if (/^\d{4}-\d{2}-\d{2}$/.test(text)) {
      const start = Temporal.PlainDate.from(text).toZonedDateTime(timezone);
      return { from: iso(start), to: iso(start.add({ days: 1 })) };
    }
  } catch {
    // Falls through: a month 13 is refused in the same words as any other text.
  }
  throw new DomainError('VALIDATION', `"${text}" is not a period.`, {
    details: { period: text },
    hint: 'Give a month (2026-10), a day (2026-10-05), days (2026-10-05..2026-10-18) or last-30-days.',
  });
}
