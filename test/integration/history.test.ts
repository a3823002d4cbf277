import { describe, expect, test } from 'vitest';
import { readGrid } from '../../src/domain/history/grid.ts';
import { rollUpHour } from '../../src/domain/history/rollup.ts';
import { readTimelines, timeInStates } from '../../src/domain/history/spans.ts';
import { trendsOf } from '../../src/domain/history/trends.ts';
import type { Level } from '../../src/domain/storage/history-statements.ts';
import { tidyUp } from '../../src/scheduler/housekeeping.ts';
import { catalogue } from '../../src/workers/probes/index.ts';
import { type Monitored, monitored } from '../support/monitored.ts';
import { measured } from '../support/results.ts';
import { plainRetention } from '../support/settings.ts';

const ms = (iso: string) => Date.parse(iso);
const minute = 60_000;
const hour = 3_600_000;

/** Rolls up all hours that are over. */
async function rollUp(m: Monitored, timezone = 'UTC', now = m.clock.now().getTime()): Promise<number> {
  let hours = 0;
  while (await m.storage.write((tx) => rollUpHour(tx, 'acme', timezone, now))) hours += 1;
  return hours;
}

/** Records values one after the other, so many minutes apart, from `start` on. */
async function record(m: Monitored, start: string, values: (number | null)[], every = 5) {
  for (const [i, value] of values.entries()) {
    const at = new Date(ms(start) + i * every * minute).toISOString();
    // A gap: nobody was there.
    if (value !== null) await m.run({ web: { value } }, { at });
  }
}

function points(m: Monitored, level: Level, from: string, to: string, timezone = 'UTC') {
  const grid = readGrid(m.storage.read, { clientId: 'acme', timezone, level, from: ms(from), to: ms(to) });
  const [series] = grid.series;
  return grid.buckets.map((bucket, i) => ({
    from: new Date(bucket.start).toISOString(),
    min: series?.min[i],
    avg: series?.avg[i],
    max: series?.max[i],
    count: series?.count[i] ?? 0,
  }));
}

describe('values are rolled up', () => {
  test('by the minute, hour and day, and come to the same as before', async () => {
    const m = await monitored();
    // Two days, every five minutes: hour h has the values h*12 to h*12+11.
    await record(
      m,
      '2026-06-01T00:00:00.000Z',
      Array.from({ length: 576 }, (_, i) => i % 288),
    );
    m.clock.set('2026-06-03T01:00:00.000Z');
    const day = ['2026-06-01T00:00:00.000Z', '2026-06-03T00:00:00.000Z'] as const;
    const before = (['minute', 'hour', 'day'] as const).map((level) => points(m, level, ...day));
    expect(await rollUp(m)).toBe(48);
    const after = (['minute', 'hour', 'day'] as const).map((level) => points(m, level, ...day));
    expect(after).toEqual(before);
    expect(after[1]?.[7]).toEqual({
      from: '2026-06-01T07:00:00.000Z',
      min: 84,
      avg: 89.5,
      max: 95,
      count: 12,
    });
    expect(after[2]).toEqual([
      { from: '2026-06-01T00:00:00.000Z', min: 0, avg: 143.5, max: 287, count: 288 },
      { from: '2026-06-02T00:00:00.000Z', min: 0, avg: 143.5, max: 287, count: 288 },
    ]);
    expect(await rollUp(m)).toBe(0);
  });

  test.each([
    ['2026-03-29', 'Europe/Berlin', 23, '2026-03-28T23:00:00.000Z'],
    ['2026-10-25', 'Europe/Berlin', 25, '2026-10-24T22:00:00.000Z'],
    ['2026-06-01', 'Asia/Kolkata', 24, '2026-05-31T18:30:00.000Z'],
  ])('%s in %s is a day of %d hours', async (_day, timezone, hours, start) => {
    const m = await monitored({ web: {} }, { timezone, start });
    // One value an hour, and some of the next day.
    await record(
      m,
      start,
      Array.from({ length: hours + 3 }, (_, i) => i),
      60,
    );
    m.clock.set(new Date(ms(start) + (hours + 4) * hour).toISOString());
    await rollUp(m, timezone);
    const end = new Date(ms(start) + hours * hour).toISOString();
    const [day, ...others] = points(m, 'day', start, end, timezone);
    expect(others).toEqual([]);
    expect(day).toMatchObject({ from: start, count: hours, min: 0, max: hours - 1 });
    const byHour = points(m, 'hour', start, end, timezone);
    expect(byHour.map((p) => p.avg)).toEqual(Array.from({ length: hours }, (_, i) => i));
  });

  test('a gap is a gap: no value, and no state', async () => {
    const m = await monitored();
    await record(m, '2026-06-01T00:00:00.000Z', [
      ...Array.from({ length: 12 }, () => 10),
      ...Array.from({ length: 24 }, () => null),
      20,
    ]);
    m.clock.set('2026-06-01T05:00:00.000Z');
    await rollUp(m);
    const [from, to] = ['2026-06-01T00:00:00.000Z', '2026-06-01T04:00:00.000Z'];
    const all = points(m, 'hour', from, to);
    expect(all.map((p) => p.count)).toEqual([12, 0, 0, 1]);
    const [line] = readTimelines(m.storage.read, {
      clientId: 'acme',
      from: ms(from),
      to: ms(to),
      now: ms(to),
    });
    const buckets = all.map((p) => ({ start: ms(p.from), until: ms(p.from) + hour }));
    const healthy = timeInStates(line?.spans ?? [], buckets).map((t) => t.healthy / minute);
    // The last result before the gap, of 00:55, counts for 15 minutes; so does the one of 03:00.
    expect(healthy).toEqual([60, 10, 0, 15]);
  });

  test('what comes late has its hour, and its day, rolled up again', async () => {
    const m = await monitored();
    await record(
      m,
      '2026-06-01T20:00:00.000Z',
      Array.from({ length: 60 }, () => 10),
    );
    await rollUp(m, 'UTC', ms('2026-06-02T01:00:00.000Z'));
    await m.run(
      { web: { value: 90 } },
      { at: '2026-06-01T21:02:00.000Z', now: new Date('2026-06-02T01:00:00.000Z') },
    );
    const [from, to] = ['2026-06-01T00:00:00.000Z', '2026-06-02T00:00:00.000Z'];
    const expected = { count: 49, max: 90, min: 10 };
    expect(points(m, 'day', from, to)[0]).toMatchObject(expected);
    await rollUp(m, 'UTC', ms('2026-06-02T02:00:00.000Z'));
    expect(points(m, 'day', from, to)[0]).toMatchObject(expected);
    expect(points(m, 'hour', '2026-06-01T21:00:00.000Z', '2026-06-01T22:00:00.000Z')[0]).toMatchObject({
      count: 13,
      max: 90,
    });
  });

  test('raw results go when their time is over, once they are rolled up; the rest stays for its own', async () => {
    const m = await monitored();
    await record(
      m,
      '2026-06-01T00:00:00.000Z',
      Array.from({ length: 36 }, () => 10),
    );
    m.clock.set('2026-06-10T00:00:00.000Z');
    const engine = { storage: m.storage, clock: m.clock, registry: { jobTypes: () => [] } as never };
    await tidyUp(engine, plainRetention);
    expect(m.storage.read.runsBetween('acme', 0, 4e12)).toHaveLength(36);
    await rollUp(m);
    await tidyUp(engine, plainRetention);
    expect(m.storage.read.runsBetween('acme', 0, 4e12)).toHaveLength(0);
    const [from, to] = ['2026-06-01T00:00:00.000Z', '2026-06-01T03:00:00.000Z'];
    expect(points(m, 'hour', from, to).map((p) => p.count)).toEqual([12, 12, 12]);
    // Minutes are kept for a week.
    expect(points(m, 'minute', from, to).some((p) => p.count > 0)).toBe(false);
  });
});

test('a thing that comes back after a gap has two stretches, one that changes has one for each state', async () => {
  const m = await monitored();
  await record(m, '2026-06-01T00:00:00.000Z', [1, 1, 99, 99, 1, null, null, null, null, 1]);
  const [line] = readTimelines(m.storage.read, {
    clientId: 'acme',
    from: ms('2026-06-01T00:00:00.000Z'),
    to: ms('2026-06-02T00:00:00.000Z'),
    now: ms('2026-06-01T00:46:00.000Z'),
  });
  expect(
    line?.spans.map((s) => [
      (s.from - ms('2026-06-01T00:00:00.000Z')) / minute,
      (s.until - s.from) / minute,
      s.state,
    ]),
  ).toEqual([
    [0, 10, 'healthy'],
    [10, 10, 'critical'],
    [20, 15, 'healthy'],
    [45, 1, 'healthy'],
  ]);
});

test('a check that asks for the course of a value gets its daily means', async () => {
  const m = await monitored();
  for (let day = 0; day < 6; day += 1) {
    const at = new Date(ms('2026-06-01T12:00:00.000Z') + day * 24 * hour).toISOString();
    await m.run(
      {
        web: [
          measured(at, {
            check: 'disk',
            instance: '/',
            values: [{ name: 'used', value: 50 + day * 5, unit: '%' }],
          }),
        ],
      },
      { at },
    );
  }
  m.clock.set('2026-06-07T01:00:00.000Z');
  await rollUp(m);
  const plans = [{ planned: [{ check: 'disk', settings: {} }] }];
  const { trends } = trendsOf(m.storage, catalogue, 'acme', plans, m.clock.now())(m.devices['web'] ?? '');
  const trend = trends?.['disk']?.['/'];
  expect(trend?.map(([, value]) => value)).toEqual([50, 55, 60, 65, 70, 75]);
});
