import { statfsSync } from 'node:fs';
import { hostname, totalmem } from 'node:os';
import { createServer } from 'node:net';
import { once } from 'node:events';
import { describe, expect, onTestFinished, test } from 'vitest';
import { checkNames, measurementSchema } from '../../src/domain/check.ts';
import { systemClock } from '../../src/domain/clock.ts';
import type { ProbeTarget } from '../../src/domain/ports.ts';
import { localProber, probes } from '../../src/workers/probes/index.ts';

const here: ProbeTarget = { id: 'd1', name: hostname(), type: 'server', rmmDeviceId: null, metadata: {} };
const wish = { checks: checkNames, networkTargets: [] };
const { signal } = new AbortController();
const prober = localProber(systemClock);

async function listening(): Promise<number> {
  const server = createServer((socket) => socket.end()).listen(0, '127.0.0.1');
  onTestFinished(() => void server.close());
  await once(server, 'listening');
  return (server.address() as { port: number }).port;
}

test('there is a probe for each check', () => {
  expect(probes.map((probe) => probe.check)).toEqual(checkNames);
});

describe.each(probes)('the probe $check', (probe) => {
  test('answers in the agreed form, with a message', async () => {
    const found = await prober.measure(here, { ...wish, checks: [probe.check] }, signal);
    expect(found.length).toBeGreaterThan(0);
    for (const measurement of found) {
      expect(measurementSchema.parse(measurement)).toMatchObject({ check: probe.check });
      expect(measurement.message).not.toBe('');
      // What has no value and no verdict would be judged unknown; it must then say so itself.
      expect(measurement.status !== null || measurement.value !== null).toBe(true);
    }
  });

  test('gives up when its signal is aborted, or has ended by then', async () => {
    const controller = new AbortController();
    const measuring = prober.measure(here, { ...wish, checks: [probe.check] }, controller.signal);
    controller.abort(new Error('given up'));
    const outcome = await measuring.catch((error: Error) => error.message);
    expect(Array.isArray(outcome) || outcome === 'given up').toBe(true);
  });
});

test('memory counts what is not available, not what is not free', async () => {
  const [found] = await prober.measure(here, { ...wish, checks: ['memory'] }, signal);
  expect(found).toMatchObject({ unit: '%', status: null });
  expect(found?.message).toContain(`${(totalmem() / 1024 ** 3).toFixed(1)} GiB`);
});

test('every file system is measured as df counts it', async () => {
  const found = await prober.measure(here, { ...wish, checks: ['disk'] }, signal);
  for (const { instance, value } of found) {
    const { blocks, bfree, bavail } = statfsSync(instance);
    expect(value).toBeCloseTo(((blocks - bfree) / (blocks - bfree + bavail)) * 100, 0);
  }
});

test('a service that runs is healthy, one that does not is critical', async () => {
  const measure = async (services: string[]) =>
    (
      await prober.measure({ ...here, metadata: { services } }, { ...wish, checks: ['services'] }, signal)
    ).find((f) => f.instance === 'expected');
  expect(await measure(['node'])).toMatchObject({ status: 'healthy' });
  expect(await measure(['node', 'no-such-service'])).toMatchObject({
    status: 'critical',
    value: 1,
    message: 'not running: no-such-service',
  });
});

test('a host that accepts connections is healthy with its latency, one that does not is critical', async () => {
  const port = await listening();
  const found = await prober.measure(
    here,
    { checks: ['network'], networkTargets: [`127.0.0.1:${port}`, '127.0.0.1:1'] },
    signal,
  );
  expect(found.find((f) => f.instance === `127.0.0.1:${port}`)).toMatchObject({
    status: 'healthy',
    unit: 'ms',
    value: expect.any(Number),
  });
  expect(found.find((f) => f.instance === '127.0.0.1:1')).toMatchObject({
    status: 'critical',
    message: expect.stringContaining('ECONNREFUSED'),
  });
});

test('a device that is not this host is unknown with the reason, for each check', async () => {
  const found = await prober.measure({ ...here, name: 'elsewhere' }, wish, signal);
  expect(found.map((f) => [f.check, f.status])).toEqual(checkNames.map((check) => [check, 'unknown']));
  expect(found[0]?.message).toContain('elsewhere is not this host');
});
