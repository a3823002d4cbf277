import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { CheckResult } from '../../../src/domain/check.ts';
import { addClient, type Client } from '../../../src/domain/client.ts';
import { addDevice } from '../../../src/domain/device.ts';
import { buildReportData } from '../../../src/domain/report-data.ts';
import { openStorage, type Storage } from '../../../src/domain/storage/storage.ts';
import { systemClock } from '../../../src/domain/clock.ts';
import { scratchHome } from '../../support/home.ts';

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

async function record(
  at: string,
  status: CheckResult['status'],
  value: number | null,
  extra: Partial<CheckResult> = {},
) {
  await storage.write((tx) =>
    tx.putCheckResult(`job-${at}`, 1, {
      clientId: client.id,
      deviceId,
      check: 'cpu',
      instance: null,
      status,
      message: `cpu ${value}`,
      value,
      unit: '%',
      thresholds: { warning: 85, critical: 95 },
      at,
      ...extra,
    }),
  );
}

const build = () =>
  buildReportData(storage, client, period, { companyName: 'MSP', now: new Date(period.to) });

describe('where nothing was recorded', () => {
  test('nothing is healthy and there is no availability', async () => {
    const data = await build();
    expect(data).toMatchObject({ status: 'unknown', checksInPeriod: 0, series: [], incidents: [] });
    expect(data.availability.overall).toEqual({ name: 'all checks', known: 0, unknown: 0, percent: null });
    expect(data.devices[0]).toMatchObject({ status: 'unknown', lastSeen: null });
  });
});

test('availability is the share of known results that are not critical; unknown excuses nothing', async () => {
  await record('2026-10-02T00:00:00.000Z', 'healthy', 10);
  await record('2026-10-02T01:00:00.000Z', 'warning', 90);
  await record('2026-10-02T02:00:00.000Z', 'critical', 99);
  await record('2026-10-02T03:00:00.000Z', 'unknown', null);
  await record('2026-10-02T04:00:00.000Z', 'healthy', 10);
  expect((await build()).availability.overall).toEqual({
    name: 'all checks',
    known: 4,
    unknown: 1,
    percent: 75,
  });
});

test('an incident lasts from the first bad result to the next healthy one and has the worst severity', async () => {
  await record('2026-10-02T00:00:00.000Z', 'healthy', 10);
  await record('2026-10-02T01:00:00.000Z', 'warning', 90);
  await record('2026-10-02T01:30:00.000Z', 'critical', 99);
  await record('2026-10-02T02:00:00.000Z', 'unknown', null);
  await record('2026-10-02T03:00:00.000Z', 'healthy', 10);
  await record('2026-10-02T04:00:00.000Z', 'warning', 91);
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
  await record(period.from, 'healthy', 1);
  await record(period.to, 'critical', 99);
  expect((await build()).checksInPeriod).toBe(1);
});

test('a file system that the last run no longer saw is not among the latest results', async () => {
  await record('2026-10-02T00:00:00.000Z', 'critical', 99, { check: 'disk', instance: '/mnt/usb' });
  await record('2026-10-02T00:00:00.000Z', 'healthy', 20, { check: 'disk', instance: '/' });
  await record('2026-10-03T00:00:00.000Z', 'healthy', 21, { check: 'disk', instance: '/' });
  const { latest, status } = await build();
  expect(latest.map((row) => row.instance)).toEqual(['/']);
  expect(status).toBe('healthy');
});

test('a whole month is called by its name', async () => {
  expect((await build()).period.label).toBe('October 2026');
});
