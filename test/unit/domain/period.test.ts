import { expect, test } from 'vitest';
import { parsePeriod } from '../../../src/domain/period.ts';

const now = new Date('2026-11-22T10:00:00Z');
const hours = ({ from, to }: { from: string; to: string }) => (Date.parse(to) - Date.parse(from)) / 3_600_000;

test('a month begins and ends at midnight of the client, in summer and in winter time', () => {
  expect(parsePeriod('2026-10', 'Europe/Berlin', now)).toEqual({
    from: '2026-09-30T22:00:00.000Z',
    to: '2026-10-31T23:00:00.000Z',
  });
});

test('October in Berlin has an hour more than 31 days, March one less', () => {
  expect(hours(parsePeriod('2026-10', 'Europe/Berlin', now))).toBe(31 * 24 + 1);
  expect(hours(parsePeriod('2026-03', 'Europe/Berlin', now))).toBe(31 * 24 - 1);
});

test('a day of the time change has 23 or 25 hours', () => {
  expect(hours(parsePeriod('2026-03-08', 'America/New_York', now))).toBe(23);
  expect(hours(parsePeriod('2026-11-01', 'America/New_York', now))).toBe(25);
});

test('last-30-days are whole days up to the end of today', () => {
  const period = parsePeriod('last-30-days', 'UTC', now);
  expect(period).toEqual({ from: '2026-10-24T00:00:00.000Z', to: '2026-11-23T00:00:00.000Z' });
});

test('days from one to another include both, over a change of the clocks', () => {
  const period = parsePeriod('2026-10-24..2026-10-26', 'Europe/Berlin', now);
  expect(period).toEqual({ from: '2026-10-23T22:00:00.000Z', to: '2026-10-26T23:00:00.000Z' });
  expect(hours(period)).toBe(73);
});

test.each([
  '2026-10-05..2026-10-04',
  '2026-10-05..',
  '2026-13',
  '2026-02-30',
  'last-0-days',
  'yesterday',
  '',
  '2026',
  '../etc',
])('%j is refused', (text) => {
  expect(() => parsePeriod(text, 'UTC', now)).toThrow(expect.objectContaining({ code: 'VALIDATION' }));
});
