import { Temporal } from 'temporal-polyfill';
import { type BusinessHours, weekdays } from './business-hours.ts';

/** The opening hours that begin on one day, in ms since the epoch. */
function hoursOf(hours: BusinessHours, day: Temporal.PlainDate, timezone: string): [number, number][] {
  const at = (date: Temporal.PlainDate, time: string) =>
    time === '24:00'
      ? date.add({ days: 1 }).toZonedDateTime(timezone).epochMilliseconds
      : date.toZonedDateTime({ timeZone: timezone, plainTime: Temporal.PlainTime.from(time) })
          .epochMilliseconds;
  return (hours[weekdays[day.dayOfWeek - 1] ?? 'mon'] ?? []).map((span) => {
    const [from = '', to = ''] = span.split('-');
    return [at(day, from), at(to > from ? day : day.add({ days: 1 }), to)];
  });
}

/** When somebody is there next: `at` itself within the hours, otherwise the next opening. In ms since the epoch. */
export function nextOpening(hours: BusinessHours, timezone: string, at: number): number {
  const today = Temporal.Instant.fromEpochMilliseconds(at).toZonedDateTimeISO(timezone).toPlainDate();
  // Yesterday's may go on past midnight; in a week each day has come once.
  for (let offset = -1; offset <= 7; offset += 1) {
    const open = hoursOf(hours, today.add({ days: offset }), timezone).filter(([, to]) => to > at);
    const first = open.map(([from]) => Math.max(from, at)).sort((a, b) => a - b)[0];
    if (first !== undefined) return first;
  }
  return at;
}
