import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { packBlocks, unpackBlock } from '../../../../src/domain/history/block.ts';
import { bucketsBetween, dayAt, hourAt, indexOfBucket } from '../../../../src/domain/history/buckets.ts';
import { packRun, unpackRun } from '../../../../src/domain/history/runs.ts';
import { timeInStates } from '../../../../src/domain/history/spans.ts';

const ms = (iso: string) => Date.parse(iso);
const hour = 3_600_000;

describe('buckets', () => {
  test.each([
    ['2026-03-29T12:00:00Z', 'Europe/Berlin', 23],
    ['2026-10-25T12:00:00Z', 'Europe/Berlin', 25],
    ['2026-06-01T12:00:00Z', 'Asia/Kolkata', 24],
    ['2026-10-04T00:00:00Z', 'Australia/Lord_Howe', 24],
  ])('the day of %s in %s is made of %d of its hours, without gap or overlap', (at, zone, hours) => {
    const day = dayAt(ms(at), zone);
    const all = bucketsBetween('hour', day.start, day.until, zone);
    expect(all).toHaveLength(hours);
    expect(all[0]?.start).toBe(day.start);
    expect(all.at(-1)?.until).toBe(day.until);
    expect(all.slice(1).map((b) => b.start)).toEqual(all.slice(0, -1).map((b) => b.until));
  });

  test('hours begin at the full hour of the clock on the wall', () => {
    expect(hourAt(ms('2026-06-01T10:05:00Z'), 'Asia/Kolkata').start).toBe(ms('2026-06-01T09:30:00Z'));
    expect(hourAt(ms('2026-06-01T10:05:00Z'), 'UTC').start).toBe(ms('2026-06-01T10:00:00Z'));
  });

  test('a moment is found in its bucket, one beside them in none', () => {
    const all = bucketsBetween('hour', ms('2026-06-01T00:00Z'), ms('2026-06-01T03:00Z'), 'UTC');
    expect(indexOfBucket(all, ms('2026-06-01T01:00Z'))).toBe(1);
    expect(indexOfBucket(all, ms('2026-06-01T02:59:59.999Z'))).toBe(2);
    expect(indexOfBucket(all, ms('2026-06-01T03:00Z'))).toBe(-1);
    expect(indexOfBucket(all, ms('2026-05-31T23:59:59Z'))).toBe(-1);
  });
});

test('whatever is packed into blocks comes out of them in order', () => {
  const row = fc.record({
    metric: fc.integer({ min: 1, max: 4_000_000 }),
    slot: fc.integer({ min: 0, max: 59 }),
    count: fc.integer({ min: 1, max: 100_000 }),
    min: fc.float({ noNaN: true, noDefaultInfinity: true }),
    avg: fc.float({ noNaN: true, noDefaultInfinity: true }),
    max: fc.float({ noNaN: true, noDefaultInfinity: true }),
  });
  fc.assert(
    fc.property(fc.uniqueArray(row, { selector: (r) => `${r.metric} ${r.slot}`, maxLength: 200 }), (rows) => {
      const found = packBlocks(rows).flatMap(({ data }) => {
        const block = unpackBlock(data);
        return [...block.metric].map((metric, i) => ({
          metric,
          slot: block.slot[i],
          count: block.count[i],
          min: block.min[i],
          avg: block.avg[i],
          max: block.max[i],
        }));
      });
      expect(found).toEqual(rows.toSorted((a, b) => a.metric - b.metric || a.slot - b.slot));
    }),
    { numRuns: 50 },
  );
});

test('a run comes back as it was', () => {
  const results = [
    {
      stateId: 7,
      status: 'warning' as const,
      verdict: null,
      message: 'Überlauf | "x"',
      values: [{ name: 'used', value: 91.5, unit: '%' }],
      limits: { warning: 85, critical: '~:95' },
      at: 1_000_500,
      ms: 12,
    },
  ];
  expect(unpackRun(1_000_000, packRun(1_000_000, results))).toEqual(results);
});

test('time in each state adds up bucket by bucket, and gaps stay gaps', () => {
  const spans = [
    { from: 0, until: 1.5 * hour, state: 'healthy' as const, message: '' },
    { from: 1.5 * hour, until: 2 * hour, state: 'critical' as const, message: '' },
    { from: 3.5 * hour, until: 9 * hour, state: 'unreachable' as const, message: '' },
  ];
  const buckets = [0, 1, 2, 3].map((n) => ({ start: n * hour, until: (n + 1) * hour }));
  const none = { healthy: 0, warning: 0, critical: 0, unknown: 0, unreachable: 0 };
  expect(timeInStates(spans, buckets)).toEqual([
    { ...none, healthy: hour },
    { ...none, healthy: hour / 2, critical: hour / 2 },
    none,
    { ...none, unreachable: hour / 2 },
  ]);
});
