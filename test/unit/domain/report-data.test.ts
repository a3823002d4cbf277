import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Measurement } from '../../../src/domain/check/check.ts';
import { addClient, type Client } from '../../../src/domain/client.ts';
import { addDevice } from '../../../src/domain/device.ts';
import { buildReportData } from '../../../src/domain/report-data.ts';
import { openStorage, type Storage } from '../../../src/domain/storage/storage.ts';
import { systemClock } from '../../../src/domain/clock.ts';
import { scratchHome } from '../../support/home.ts';
import { measured, recordMeasured } from '../../support/results.ts';

const who = { actor: 'test', clock: systemClock };
const period = { from: '2026-10-01T00:00:00.000Z', to: '2026-11-01T00:00:00.000Z' };
let storage: Storage;
let client: Client;
let deviceId: string;

beforeEach(async () => {
  storage = await openStorage(join(await scratchHome(), 'x.db'));
  client = await addClient(storage, who, { name: 'Acme', metadata: { slaTargetPercent: 99 } });
  deviceId = (await addDevice(storage, who, { clientId: client.id, name: 'srv' })).id;
});
afterEach(() => storage.close());

const hold = 3_600_000;

/** One result of the device, which counts for an hour. */
async function record(at: string, value: number | null, extra: Partial<Measurement> = {}) {
  await recordMeasured(
    storage,
    client.id,
    { [deviceId]: [measured(at, { value, message: `cpu ${value}`, ...extra })] },
    { holdMs: hold, reachability: ['cpu'] },
  );
}

const build = (now = period.to) =>
  buildReportData(storage, client, period, {
    companyName: 'MSP',
    now: new Date(now),
    maintenanceCounts: false,
    reachability: ['cpu'],
  });

describe('where nothing was recorded', () => {
  test('nothing is healthy and there is no availability', async () => {
    const data = await build();
    expect(data).toMatchObject({
      status: 'unknown',
      known: false,
      valuesInPeriod: 0,
      series: [],
      incidents: [],
    });
    expect(data.availability.overall).toMatchObject({ up: 0, down: 0, percent: null });
    expect(data.devices[0]).toMatchObject({ status: 'unknown', lastSeen: null });
  });
});

test('availability is the share of the known time that it was up; unknown excuses nothing', async () => {
  await record('2026-10-02T00:00:00.000Z', 10);
  await record('2026-10-02T01:00:00.000Z', 90);
  await record('2026-10-02T02:00:00.000Z', 99);
  await record('2026-10-02T03:00:00.000Z', null);
  await record('2026-10-02T04:00:00.000Z', 10);
  expect((await build()).availability.overall).toMatchObject({
    up: 3 * 3600,
    down: 3600,
    percent: 75,
    outages: 1,
    mttrMinutes: 60,
    mtbfHours: 3,
  });
});

test('an incident lasts from the first bad result to the next healthy one and has the worst severity', async () => {
  await record('2026-10-02T00:00:00.000Z', 10);
  await record('2026-10-02T01:00:00.000Z', 90);
  await record('2026-10-02T01:30:00.000Z', 99);
  await record('2026-10-02T02:00:00.000Z', null);
  await record('2026-10-02T03:00:00.000Z', 10);
  await record('2026-10-02T04:00:00.000Z', 91);
  const { incidents } = await build();
  expect(incidents).toMatchObject([
    { severity: 'warning', from: '2026-10-02T04:00:00.000Z', to: null, minutes: null },
    {
      severity: 'critical',
      from: '2026-10-02T01:00:00.000Z',
      to: '2026-10-02T03:00:00.000Z',
      minutes: 120,
      message: 'cpu 99',
    },
  ]);
});

test('results at the very end of the period belong to the next one', async () => {
  await record(period.from, 1);
  await record(period.to, 99);
  const data = await build('2026-11-02T00:00:00.000Z');
  expect(data.valuesInPeriod).toBe(1);
  expect(data.incidents).toEqual([]);
});

test('a gap in what was measured is a gap in its course', async () => {
  await record('2026-10-02T00:00:00.000Z', 10);
  await record('2026-10-02T05:00:00.000Z', 20);
  const [series] = (await build()).series;
  expect(series?.points.map(([at, value]) => [new Date(at).toISOString().slice(11, 13), value])).toEqual([
    ['00', 10],
    ['01', null],
    ['02', null],
    ['03', null],
    ['04', null],
    ['05', 20],
  ]);
});

test('what is checked no longer is not among the latest results', async () => {
  const http = { check: 'http', status: 'critical' as const, values: [] };
  const both = ['https://a.example', 'https://b.example'].map((instance) =>
    measured('2026-10-02T00:00:00.000Z', { ...http, instance }),
  );
  await recordMeasured(storage, client.id, { [deviceId]: both });
  const one = measured('2026-10-03T00:00:00.000Z', {
    ...http,
    status: 'healthy',
    instance: 'https://a.example',
  });
  await recordMeasured(storage, client.id, { [deviceId]: [one] });
  const { latest, status } = await build('2026-10-03T00:01:00.000Z');
  expect(latest.map((row) => row.instance)).toEqual(['https://a.example']);
  expect(status).toBe('healthy');
});

test('a file system that was there and is gone is not known, which is worse than healthy', async () => {
  const disk = (at: string, ...instances: string[]) =>
    recordMeasured(storage, client.id, {
      [deviceId]: instances.map((instance) => measured(at, { check: 'disk', instance, value: 20 })),
    });
  await disk('2026-10-02T00:00:00.000Z', '/', '/data');
  await disk('2026-10-02T00:05:00.000Z', '/');
  const { latest, status } = await build('2026-10-02T00:06:00.000Z');
  expect(latest.map((row) => [row.instance, row.status])).toEqual([
    ['/data', 'unknown'],
    ['/', 'healthy'],
  ]);
  expect(latest[0]?.message).toBe('/data was there before and is gone');
  expect(status).toBe('unknown');
});

test('a whole month is called by its name', async () => {
  expect((await build()).period.label).toBe('October 2026');
});
