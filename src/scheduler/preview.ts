import { Temporal } from 'temporal-polyfill';
import { dueAt, nextSlot, type Preview, type Schedule } from '../domain/schedule.ts';

/** Wall-clock time with its offset, such as `Sun 2026-03-08 03:00 -04:00`. */
function local(at: Date, timeZone: string): string {
  const zoned = Temporal.Instant.fromEpochMilliseconds(at.getTime()).toZonedDateTimeISO(timeZone);
  const day = zoned.toLocaleString('en-GB', { weekday: 'short' });
  const seconds = zoned.second === 0 ? '' : `:${String(zoned.second).padStart(2, '0')}`;
  return `${day} ${zoned.toPlainDate().toString()} ${zoned.toPlainTime().toString().slice(0, 5)}${seconds} ${zoned.offset}`;
}

function offsetMinutes(at: Date, timeZone: string): number {
  return (
    Temporal.Instant.fromEpochMilliseconds(at.getTime()).toZonedDateTimeISO(timeZone).offsetNanoseconds / 6e10
  );
}

/** The coming runs of a schedule, with the changes of the clocks between them. */
export function previewRuns(
  schedule: Pick<Schedule, 'id' | 'cron' | 'timezone' | 'jitterSeconds'>,
  from: Date,
  count: number,
  clientZone?: string,
): Preview[] {
  const runs: Preview[] = [];
  const zones = [schedule.timezone, ...(clientZone && clientZone !== schedule.timezone ? [clientZone] : [])];
  let before = from;
  for (let slot = nextSlot(schedule, from); slot && runs.length < count; slot = nextSlot(schedule, slot)) {
    const at = slot;
    const changes = zones.flatMap((zone) => {
      const minutes = offsetMinutes(at, zone) - offsetMinutes(before, zone);
      if (minutes === 0) return [];
      return [`clocks in ${zone} went ${minutes > 0 ? 'forward' : 'back'} ${Math.abs(minutes)} min`];
    });
    runs.push({
      at: dueAt(schedule, at).toISOString(),
      local: local(at, schedule.timezone),
      clientLocal: clientZone ? local(at, clientZone) : null,
      clockChange: changes.length > 0 ? changes.join(', ') : null,
    });
    before = at;
  }
  return runs;
}
