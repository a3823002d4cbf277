import { describe, expect, test } from 'vitest';
import { cronProblem, dueAt, dueSlots, judgeSlot, nextSlot } from '../../../src/domain/schedule.ts';
import { previewRuns } from '../../../src/scheduler/preview.ts';

const at = (text: string) => new Date(text);
const iso = (dates: (Date | null)[]) => dates.map((date) => date?.toISOString() ?? null);

describe('a cron', () => {
  const now = at('2026-01-01T00:00:00Z');

  test.each([
    ['*/15 * * * * *', '2026-01-01T00:00:15.000Z'],
    ['0 0 L * *', '2026-01-31T00:00:00.000Z'],
    ['0 9 * * 5#2', '2026-01-09T09:00:00.000Z'],
    ['0 8-10 * * 1', '2026-01-05T08:00:00.000Z'],
    ['@daily', '2026-01-02T00:00:00.000Z'],
  ])('"%s" is read as croner reads it', (cron, next) => {
    expect(nextSlot({ cron, timezone: 'UTC' }, now)?.toISOString()).toBe(next);
  });

  test.each([
    ['not a cron', /can't be read/],
    ['0 0 30 2 *', /never comes/],
    ['2020-01-01T00:00:00', /never comes/],
  ])('"%s" is refused', (cron, words) => {
    expect(cronProblem({ cron, timezone: 'UTC' }, now)).toMatch(words);
  });

  test('a slot in the hour that a spring night leaves out comes at its end, and the day after is as usual', () => {
    const schedule = { cron: '30 2 * * *', timezone: 'America/New_York' };
    const first = nextSlot(schedule, at('2026-03-08T00:00:00Z'));
    const second = first && nextSlot(schedule, first);
    expect(iso([first, second])).toEqual(['2026-03-08T07:00:00.000Z', '2026-03-09T06:30:00.000Z']);
  });

  test('a slot in the hour that an autumn night repeats comes once; an hourly one comes in both', () => {
    const daily = { cron: '30 1 * * *', timezone: 'America/New_York' };
    const first = nextSlot(daily, at('2026-11-01T00:00:00Z'));
    expect(iso([first, first && nextSlot(daily, first)])).toEqual([
      '2026-11-01T05:30:00.000Z',
      '2026-11-02T06:30:00.000Z',
    ]);
    const hourly = { id: 'h', cron: '0 * * * *', timezone: 'America/New_York', jitterSeconds: 0 };
    const { slots } = dueSlots(hourly, at('2026-11-01T04:30:00Z'), at('2026-11-01T07:30:00Z'), 10);
    expect(slots.map((slot) => slot.getUTCHours())).toEqual([5, 6, 7]);
  });
});

describe('slots that have come due', () => {
  const every5 = { id: 's', cron: '*/5 * * * *', timezone: 'UTC', jitterSeconds: 0 };

  test('are all those since the cursor, oldest first, with the one that comes next', () => {
    const { slots, next, complete } = dueSlots(
      every5,
      at('2026-01-01T00:00:00Z'),
      at('2026-01-01T00:12:00Z'),
      10,
    );
    expect(iso([...slots, next])).toEqual([
      '2026-01-01T00:05:00.000Z',
      '2026-01-01T00:10:00.000Z',
      '2026-01-01T00:15:00.000Z',
    ]);
    expect(complete).toBe(true);
  });

  test('are taken in parts where there are many', () => {
    const { slots, complete } = dueSlots(every5, at('2026-01-01T00:00:00Z'), at('2026-01-02T00:00:00Z'), 10);
    expect(slots).toHaveLength(10);
    expect(complete).toBe(false);
  });

  test('none are due while the clock stands before the cursor', () => {
    expect(dueSlots(every5, at('2026-01-01T01:00:00Z'), at('2026-01-01T00:00:00Z'), 10).slots).toEqual([]);
  });

  test('jitter shifts a slot by the same time in every process, within its limit', () => {
    const slot = at('2026-01-01T00:05:00Z');
    const shifts = ['a', 'b', 'c', 'd', 'e'].map(
      (id) => dueAt({ id, jitterSeconds: 60 }, slot).getTime() - slot.getTime(),
    );
    expect(shifts).toEqual(
      ['a', 'b', 'c', 'd', 'e'].map(
        (id) => dueAt({ id, jitterSeconds: 60 }, slot).getTime() - slot.getTime(),
      ),
    );
    expect(Math.min(...shifts)).toBeGreaterThanOrEqual(0);
    expect(Math.max(...shifts)).toBeLessThan(60_000);
    expect(new Set(shifts).size).toBe(5);
  });
});

describe('the misfire rule', () => {
  const hour = 3600;
  const now = at('2026-01-01T05:00:30Z');
  const slots = [1, 2, 3, 4, 5].map((h) => at(`2026-01-01T0${h}:00:00Z`));
  const judged = (misfire: 'skip' | 'once' | 'all', misfireWindowSeconds: number, when = now) =>
    slots.map((slot) => {
      const { run, late } = judgeSlot({ misfire, misfireWindowSeconds }, slot, slot, slots.at(-1), when);
      return run ? (late ? 'late' : 'run') : 'missed';
    });
  const later = at('2026-01-01T05:30:00Z');

  test.each([
    ['skip', 24 * hour, now, ['missed', 'missed', 'missed', 'missed', 'run']],
    ['skip', 24 * hour, later, ['missed', 'missed', 'missed', 'missed', 'missed']],
    ['once', 24 * hour, later, ['missed', 'missed', 'missed', 'missed', 'late']],
    ['once', hour / 4, later, ['missed', 'missed', 'missed', 'missed', 'missed']],
    ['all', 24 * hour, later, ['late', 'late', 'late', 'late', 'late']],
    ['all', 2 * hour, later, ['missed', 'missed', 'missed', 'late', 'late']],
  ] as const)('%s within %d s at %o', (misfire, window, when, expected) => {
    expect(judged(misfire, window, when)).toEqual(expected);
  });
});

test("the preview tells the local time, the client's, and changes of the clocks", () => {
  const schedule = { id: 's', cron: '30 2 * * *', timezone: 'America/New_York', jitterSeconds: 0 };
  expect(previewRuns(schedule, at('2026-03-07T12:00:00Z'), 2, 'Europe/Berlin')).toEqual([
    {
      at: '2026-03-08T07:00:00.000Z',
      local: 'Sun 2026-03-08 03:00 -04:00',
      clientLocal: 'Sun 2026-03-08 08:00 +01:00',
      clockChange: 'clocks in America/New_York went forward 60 min',
    },
    {
      at: '2026-03-09T06:30:00.000Z',
      local: 'Mon 2026-03-09 02:30 -04:00',
      clientLocal: 'Mon 2026-03-09 07:30 +01:00',
      clockChange: null,
    },
  ]);
});
