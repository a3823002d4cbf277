import { describe, expect, test } from 'vitest';
import type { Status } from '../../../../src/domain/check/check.ts';
import { advance, flappingValue, type Standing } from '../../../../src/domain/check/state.ts';

const policy = { attempts: 3, flapping: { startsAbove: 30, endsAtOrBelow: 25 } };
const at = (n: number) => new Date(Date.UTC(2026, 0, 1, 0, 5 * n)).toISOString();

/** What is known after each of some results, five minutes apart. */
function after(statuses: Status[], attempts = 3): Standing[] {
  const all: Standing[] = [];
  for (const [n, status] of statuses.entries()) {
    const result = { status, at: at(n), holdUntil: at(n + 3), unreachable: false };
    all.push(advance(all.at(-1), result, { ...policy, attempts }).next);
  }
  return all;
}
const hard = (statuses: Status[], attempts?: number) => after(statuses, attempts).map((s) => s.hard);

describe('soft and hard', () => {
  test('a problem is hard at the third bad result in a row', () => {
    expect(hard(['healthy', 'critical', 'critical', 'critical'])).toEqual([
      'healthy',
      'healthy',
      'healthy',
      'critical',
    ]);
  });

  test('one good result in between starts the count anew', () => {
    expect(hard(['critical', 'critical', 'healthy', 'critical', 'critical']).at(-1)).toBe('healthy');
  });

  test('warning and critical count together, and the last one stands', () => {
    expect(hard(['warning', 'critical', 'warning']).at(-1)).toBe('warning');
  });

  test('a hard problem that changes is at once as bad as it is', () => {
    expect(hard(['warning', 'warning', 'warning', 'critical', 'warning']).slice(2)).toEqual([
      'warning',
      'critical',
      'warning',
    ]);
  });

  test('one good result ends it', () => {
    expect(hard(['critical', 'critical', 'critical', 'healthy']).at(-1)).toBe('healthy');
  });

  test('with one attempt the first bad result is hard', () => {
    expect(hard(['critical'], 1)).toEqual(['critical']);
  });

  test('what was never measured is not known, however often it is tried', () => {
    const all = after(['unknown', 'unknown', 'unknown', 'unknown']);
    expect(all.at(-1)).toMatchObject({ hard: 'unknown', known: false });
  });

  test('what was known and is so no longer is a problem after three tries', () => {
    expect(hard(['healthy', 'unknown', 'unknown', 'unknown'])).toEqual([
      'healthy',
      'healthy',
      'healthy',
      'unknown',
    ]);
  });

  test('what was never known and is then bad still gets its tries', () => {
    expect(hard(['unknown', 'critical', 'critical', 'critical'])).toEqual([
      'unknown',
      'healthy',
      'healthy',
      'critical',
    ]);
  });
});

describe('flapping', () => {
  test('weighs the newest change with 1.18 and the oldest with 0.8', () => {
    expect(flappingValue(1)).toBeCloseTo((100 * 1.18) / 20);
    expect(flappingValue(1 << 19)).toBeCloseTo((100 * 0.8) / 20);
    expect(flappingValue(2 ** 20 - 1)).toBeCloseTo(99);
  });

  test('starts above 30 and ends at or below 25', () => {
    const turns = Array.from({ length: 12 }, (_, n): Status => (n % 2 === 0 ? 'healthy' : 'critical'));
    const all = after([...turns, ...Array.from({ length: 20 }, (): Status => 'healthy')]);
    const flags = all.map((s) => s.flapping);
    const started = flags.indexOf(true);
    // Six changes, the newest ones, weigh 6.78 of 20: 33.9; five weigh 5.7: 28.5.
    expect(started).toBe(6);
    const ended = flags.indexOf(false, started);
    expect(flappingValue(all[ended]?.changes ?? 0)).toBeLessThanOrEqual(25);
    expect(flappingValue(all[ended - 1]?.changes ?? 0)).toBeGreaterThan(25);
  });

  test('a thing that stays bad does not flap', () => {
    expect(after(Array.from({ length: 30 }, (): Status => 'critical')).some((s) => s.flapping)).toBe(false);
  });
});

test('a gap before a result is told, though the status is the same', () => {
  const [first] = after(['healthy']);
  const result = { status: 'healthy' as const, at: at(10), holdUntil: at(13), unreachable: false };
  expect(advance(first, result, policy).changed).toBe(true);
  expect(advance(first, { ...result, at: at(2) }, policy).changed).toBe(false);
});
