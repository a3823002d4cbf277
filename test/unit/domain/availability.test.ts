import { describe, expect, test } from 'vitest';
import { deviceStretches, outagesOf, summarizeAvailability } from '../../../src/domain/availability.ts';
import type { SpanState, Timeline } from '../../../src/domain/history/spans.ts';
import type { MaintenanceWindow } from '../../../src/domain/maintenance.ts';
import { parsePeriod } from '../../../src/domain/period.ts';

const hour = 3_600_000;
const ms = (iso: string) => Date.parse(iso);
const device = { clientId: 'acme', deviceId: 'd' };

/** A thing with states, given as [from, until, state]. */
function line(check: string, ...spans: [string | number, string | number, SpanState][]): Timeline {
  const at = (t: string | number) => (typeof t === 'number' ? t : ms(t));
  return {
    thing: { check_name: check } as Timeline['thing'],
    spans: spans.map(([from, until, state]) => ({ from: at(from), until: at(until), state, message: '' })),
  };
}

function windowOf(from: string, to: string): MaintenanceWindow {
  return {
    id: 'w',
    clientId: 'acme',
    deviceId: null,
    checks: null,
    reason: '',
    from,
    to,
    cron: null,
    durationMinutes: null,
    timezone: null,
    createdBy: '',
    createdAt: '',
    removedAt: null,
  };
}

function availability(
  timelines: Timeline[],
  from: string,
  to: string,
  rules: { windows?: MaintenanceWindow[]; maintenanceCounts?: boolean } = {},
) {
  const stretches = deviceStretches(
    timelines,
    device,
    { from: ms(from), to: ms(to) },
    {
      reachability: ['ping'],
      windows: rules.windows ?? [],
      maintenanceCounts: rules.maintenanceCounts ?? false,
    },
  );
  return summarizeAvailability('d', [stretches]);
}

describe('worked by hand', () => {
  // Ten hours: up 4 h, down 1 h, up 2 h, no data 1 h, unreachable 1 h, up 1 h.
  const ping = line(
    'ping',
    ['2026-06-01T00:00Z', '2026-06-01T04:00Z', 'healthy'],
    ['2026-06-01T04:00Z', '2026-06-01T05:00Z', 'critical'],
    ['2026-06-01T05:00Z', '2026-06-01T07:00Z', 'warning'],
    ['2026-06-01T08:00Z', '2026-06-01T09:00Z', 'unreachable'],
    ['2026-06-01T09:00Z', '2026-06-01T10:00Z', 'healthy'],
  );

  test('the parts add up to the period, and the percentage is of what is known', () => {
    const found = availability([ping], '2026-06-01T00:00Z', '2026-06-01T10:00Z');
    expect(found).toMatchObject({
      up: 7 * 3600,
      down: 3600,
      unreachable: 3600,
      maintenance: 0,
      noData: 3600,
      outages: 1,
      mttrMinutes: 60,
      mtbfHours: 7,
    });
    expect(found.percent).toBeCloseTo((7 / 9) * 100, 10);
    expect(found.up + found.down + found.unreachable + found.maintenance + found.noData).toBe(36_000);
  });

  test('maintenance is left out, or counted by setting', () => {
    const windows = [windowOf('2026-06-01T03:30:00.000Z', '2026-06-01T04:30:00.000Z')];
    const excluded = availability([ping], '2026-06-01T00:00Z', '2026-06-01T10:00Z', { windows });
    expect(excluded).toMatchObject({ up: 6.5 * 3600, down: 1800, maintenance: 3600, mttrMinutes: 30 });
    expect(excluded.percent).toBeCloseTo((6.5 / 8) * 100, 10);
    const counted = availability([ping], '2026-06-01T00:00Z', '2026-06-01T10:00Z', {
      windows,
      maintenanceCounts: true,
    });
    expect(counted).toMatchObject({ up: 7 * 3600, down: 3600, maintenance: 0 });
  });

  test('a part of the period is cut out to the second', () => {
    const found = availability([ping], '2026-06-01T03:59:30Z', '2026-06-01T04:00:30Z');
    expect(found).toMatchObject({ up: 30, down: 30, percent: 50 });
  });
});

test('a check that is critical beside the ones for reachability does not mean down', () => {
  const cpu = line('cpu', ['2026-06-01T00:00Z', '2026-06-01T01:00Z', 'critical']);
  expect(availability([cpu], '2026-06-01T00:00Z', '2026-06-01T01:00Z').percent).toBe(100);
});

test('down counts although another check goes on finding something', () => {
  const cpu = line('cpu', ['2026-06-01T00:00Z', '2026-06-01T01:00Z', 'healthy']);
  const ping = line('ping', ['2026-06-01T00:30Z', '2026-06-01T01:00Z', 'critical']);
  expect(availability([cpu, ping], '2026-06-01T00:00Z', '2026-06-01T01:00Z').percent).toBe(50);
});

test('where nothing could tell there is no percentage', () => {
  const ping = line('ping', ['2026-06-01T00:00Z', '2026-06-01T01:00Z', 'unknown']);
  expect(availability([ping], '2026-06-01T00:00Z', '2026-06-01T02:00Z')).toMatchObject({
    noData: 7200,
    percent: null,
    outages: 0,
    mttrMinutes: null,
    mtbfHours: null,
  });
});

test('an outage that nobody could see the middle of is one, and lasts until it is found up', () => {
  const found = outagesOf([
    { from: 0, until: hour, state: 'up' },
    { from: hour, until: 2 * hour, state: 'down' },
    { from: 2 * hour, until: 3 * hour, state: 'noData' },
    { from: 3 * hour, until: 4 * hour, state: 'down' },
    { from: 4 * hour, until: 5 * hour, state: 'up' },
    { from: 5 * hour, until: 6 * hour, state: 'down' },
  ]);
  expect(found).toEqual([
    { from: hour, until: 4 * hour, downMs: 2 * hour },
    { from: 5 * hour, until: null, downMs: hour },
  ]);
});

describe('months in which the clocks change are as long as they are', () => {
  test.each([
    ['2026-03', 'Europe/Berlin', 31 * 24 - 1],
    ['2026-10', 'Europe/Berlin', 31 * 24 + 1],
    ['2026-04', 'Australia/Lord_Howe', 30 * 24 + 0.5],
    ['2026-06', 'Europe/Berlin', 30 * 24],
  ])('%s in %s has %d hours', (month, timezone, hours) => {
    const { from, to } = parsePeriod(month, timezone, new Date('2026-12-01T00:00:00Z'));
    const down = line(
      'ping',
      ['2026-01-01T00:00Z', ms(from) + 6 * hour, 'healthy'],
      [ms(from) + 6 * hour, ms(from) + 7 * hour, 'critical'],
      [ms(from) + 7 * hour, '2027-01-01T00:00Z', 'healthy'],
    );
    const found = availability([down], from, to);
    expect(found.up + found.down).toBe(hours * 3600);
    expect(found.percent).toBeCloseTo(((hours - 1) / hours) * 100, 9);
  });
});

test('of several devices each counts by its time', () => {
  const up = [{ from: 0, until: 3 * hour, state: 'up' as const }];
  const down = [{ from: 0, until: hour, state: 'down' as const }];
  expect(summarizeAvailability('all', [up, down])).toMatchObject({
    percent: 75,
    outages: 1,
    mttrMinutes: null,
  });
});
