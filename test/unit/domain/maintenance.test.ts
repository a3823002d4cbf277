import { describe, expect, test } from 'vitest';
import { nextOpening } from '../../../src/domain/opening.ts';
import { businessHoursSchema } from '../../../src/domain/business-hours.ts';
import { covers, isOpen, maintenanceInputSchema, occurrences } from '../../../src/domain/maintenance.ts';

const ms = (iso: string) => Date.parse(iso);
const fixed = (from: string, to: string, removedAt: string | null = null) => ({
  from,
  to,
  cron: null,
  durationMinutes: null,
  timezone: null,
  removedAt,
});
const recurring = (cron: string, durationMinutes: number, timezone = 'Europe/Berlin') => ({
  from: null,
  to: null,
  cron,
  durationMinutes,
  timezone,
  removedAt: null,
});

describe('a window', () => {
  test('begins at its start and is over at its end', () => {
    const window = fixed('2026-06-01T20:00:00.000Z', '2026-06-01T22:00:00.000Z');
    expect(isOpen(window, ms('2026-06-01T19:59:59.999Z'))).toBe(false);
    expect(isOpen(window, ms('2026-06-01T20:00:00.000Z'))).toBe(true);
    expect(isOpen(window, ms('2026-06-01T22:00:00.000Z'))).toBe(false);
  });

  test('that was removed counts up to then', () => {
    const window = fixed('2026-06-01T20:00:00.000Z', '2026-06-01T22:00:00.000Z', '2026-06-01T21:00:00.000Z');
    expect(isOpen(window, ms('2026-06-01T20:30:00Z'))).toBe(true);
    expect(isOpen(window, ms('2026-06-01T21:30:00Z'))).toBe(false);
  });

  test('that recurs crosses midnight', () => {
    const window = recurring('0 23 * * *', 120);
    expect(isOpen(window, ms('2026-06-10T21:30:00Z'))).toBe(true);
    expect(isOpen(window, ms('2026-06-10T22:59:59Z'))).toBe(true);
    expect(isOpen(window, ms('2026-06-10T23:00:00Z'))).toBe(false);
  });

  test('whose occurrences overlap is open throughout', () => {
    const window = recurring('0 * * * *', 90, 'UTC');
    for (let minute = 0; minute < 240; minute += 1)
      expect(isOpen(window, ms('2026-06-10T00:00:00Z') + minute * 60_000)).toBe(true);
  });

  test('keeps to the clock on the wall and to its length over both changes of the clocks', () => {
    const window = recurring('0 1 * * *', 180);
    const hours = (from: string, to: string) =>
      occurrences(window, ms(from), ms(to)).map(([a, b]) => [new Date(a).toISOString(), (b - a) / 3_600_000]);
    // 29 March: 01:00 is still winter time; 3 hours later the wall says 05:00.
    expect(hours('2026-03-29T00:00:00Z', '2026-03-29T12:00:00Z')).toEqual([['2026-03-29T00:00:00.000Z', 3]]);
    expect(hours('2026-10-24T22:00:00Z', '2026-10-25T12:00:00Z')).toEqual([['2026-10-24T23:00:00.000Z', 3]]);
  });

  test('whose start does not exist on a night in spring opens once all the same', () => {
    const found = occurrences(
      recurring('30 2 * * *', 60),
      ms('2026-03-28T23:00:00Z'),
      ms('2026-03-29T22:00:00Z'),
    );
    expect(found).toHaveLength(1);
  });

  test('is about what it names', () => {
    const thing = { clientId: 'a', deviceId: 'd', check: 'http' };
    const all = { clientId: null, deviceId: null, checks: null };
    expect(covers(all, thing)).toBe(true);
    expect(covers({ ...all, clientId: 'b' }, thing)).toBe(false);
    expect(covers({ ...all, deviceId: 'd' }, thing)).toBe(true);
    expect(covers({ ...all, checks: ['tcp'] }, thing)).toBe(false);
    // A window for some checks does not take the device as a whole out of service.
    expect(covers({ ...all, checks: ['http'] }, { clientId: 'a', deviceId: 'd' })).toBe(false);
  });
});

test.each([
  [{}, 'either from and to, or cron'],
  [{ from: '2026-06-01T00:00:00Z' }, 'belong together'],
  [{ from: '2026-06-02T00:00:00Z', to: '2026-06-01T00:00:00Z' }, 'to must be after from'],
  [{ cron: '0 1 * * *' }, 'belong together'],
  [
    { cron: '0 1 * * *', durationMinutes: 5, from: '2026-06-01T00:00:00Z', to: '2026-06-02T00:00:00Z' },
    'either',
  ],
])('%j is no window', (wish, words) => {
  const parsed = maintenanceInputSchema.safeParse({ reason: 'x', ...wish });
  expect(parsed.error?.issues.map((issue) => issue.message).join()).toContain(words);
});

describe('business hours', () => {
  const hours = businessHoursSchema.parse({
    mon: ['08:00-12:00', '13:00-18:00'],
    fri: ['22:00-06:00'],
  });
  const next = (at: string) => new Date(nextOpening(hours, 'Europe/Berlin', ms(at))).toISOString();

  test('within them it is now', () => {
    expect(next('2026-06-01T08:00:00.000Z')).toBe('2026-06-01T08:00:00.000Z');
  });
  test('in the break it is after it', () => {
    expect(next('2026-06-01T10:30:00.000Z')).toBe('2026-06-01T11:00:00.000Z');
  });
  test('after them it is the next opening day', () => {
    expect(next('2026-06-01T17:00:00.000Z')).toBe('2026-06-05T20:00:00.000Z');
  });
  test('hours past midnight belong to the day before', () => {
    expect(next('2026-06-06T01:00:00.000Z')).toBe('2026-06-06T01:00:00.000Z');
    expect(next('2026-06-06T04:00:00.000Z')).toBe('2026-06-08T06:00:00.000Z');
  });
  test('keep to the clock on the wall when it changes', () => {
    expect(next('2026-10-25T12:00:00.000Z')).toBe('2026-10-26T07:00:00.000Z');
  });
  test('that never open are refused', () => {
    expect(businessHoursSchema.safeParse({ outside: 'critical' }).success).toBe(false);
    expect(businessHoursSchema.safeParse({ mon: ['8-17'] }).success).toBe(false);
  });
});
