import { setTimeout as delay } from 'node:timers/promises';
import { hostname } from 'node:os';
import { describe, expect, test } from 'vitest';
import { tcpServer } from '../support/probing.ts';
import { until } from '../support/home.ts';
import { clientHere, testToolkit } from '../support/toolkit.ts';

const silent = { expect: 'never', timeoutSeconds: 8 };

describe('a device that is slow', () => {
  test('delays no other: theirs counts while it is still waited for', async () => {
    const { toolkit } = await testToolkit();
    const mute = await tcpServer();
    const quick = await tcpServer();
    const { id: clientId } = await toolkit.clients.add({ name: 'Acme' });
    const tcp = (port: number, more: object = {}) => ({
      checks: { tcp: { host: '127.0.0.1', port, ...more } },
    });
    const slow = await toolkit.devices.add({ clientId, name: 'slow', metadata: tcp(mute, silent) });
    const others = await Promise.all(
      Array.from({ length: 5 }, (_, n) =>
        toolkit.devices.add({ clientId, name: `quick-${n}`, metadata: tcp(quick) }),
      ),
    );
    const began = performance.now();
    const started = await toolkit.health.check(clientId);
    const result = started.result();
    const states = () => toolkit.parts.storage.read.statesOf(clientId);
    await until('the others count', () => states().length === others.length);
    expect(states().every((row) => row.device_id !== slow.id && row.status === 'healthy')).toBe(true);
    expect(performance.now() - began).toBeLessThan(8000);
    const { summary, results } = await result;
    expect(summary).toEqual({ total: 6, healthy: 5, warning: 0, critical: 1, unknown: 0 });
    expect(results.find((r) => r.deviceId === slow.id)).toMatchObject({
      status: 'critical',
      message: expect.stringContaining('did not say it within 8 s'),
    });
    // Nothing was recorded twice although the handler ran three times.
    expect(toolkit.parts.storage.read.runsOfJob(started.job.id)).toHaveLength(2);
    expect(states()).toHaveLength(6);
  });
});

describe('a check of all clients', () => {
  test('is a job for each, and comes back with a summary of each; those at rest are left out', async () => {
    const { toolkit } = await testToolkit();
    const { clientId } = await clientHere(toolkit);
    await toolkit.clients.add({ name: 'Empty' });
    await toolkit.clients.add({ name: 'Gone' });
    await toolkit.clients.update('gone', { status: 'inactive' });
    const started = await toolkit.jobs.start('health.check', { all: true, checks: ['memory'] });
    expect(await started.result()).toMatchObject({
      clientId: null,
      summary: { total: 1 },
      clients: [
        { clientId, summary: { total: 1 }, error: null },
        { clientId: 'empty', status: 'unknown', summary: { total: 0 } },
      ],
    });
  });

  test('may be a schedule, as may one of one client; results hold until the next is due', async () => {
    const { toolkit } = await testToolkit();
    const { clientId } = await clientHere(toolkit);
    const schedule = (name: string, cron: string, payload: object) =>
      toolkit.schedules.add({ name, cron, jobType: 'health.check', payload: { ...payload } });
    await schedule('all', '0 */2 * * *', { all: true, checks: ['memory'] });
    await schedule('one', '*/5 * * * *', { clientId, checks: ['cpu'] });
    await expect(schedule('none', '0 * * * *', {})).rejects.toMatchObject({ code: 'SCHEDULE_INVALID' });
    const hold = () => {
      const [state] = toolkit.parts.storage.read.statesOf(clientId);
      return state && (Date.parse(state.hold_until) - Date.parse(state.at)) / 60_000;
    };
    const { parts } = toolkit;
    const engine = await parts.engine();
    const { healthCheck } = await import('../../src/jobs/health-check.ts');
    await toolkit.startWorkers();
    const all = await engine.submit(
      healthCheck,
      { all: true, checks: ['memory'] },
      { requestedBy: 'schedule:all' },
    );
    await engine.wait(all.id);
    expect(hold()).toBe(180);
    const one = await engine.submit(
      healthCheck,
      { clientId, checks: ['memory'] },
      { requestedBy: 'schedule:one' },
    );
    await engine.wait(one.id);
    expect(hold()).toBe(15);
  });
});

test('what was measured too long ago is unknown wherever it is shown', async () => {
  let now = new Date();
  const { toolkit } = await testToolkit({}, { clock: { now: () => now } });
  const { clientId } = await clientHere(toolkit);
  await (await toolkit.health.check(clientId, { checks: ['memory'] })).result();
  expect((await toolkit.health.status())[0]).toMatchObject({ status: 'healthy', summary: { healthy: 1 } });
  now = new Date(now.getTime() + 16 * 60_000);
  expect((await toolkit.health.status())[0]).toMatchObject({ status: 'unknown', summary: { unknown: 1 } });
});

describe('what a device says of its checks', () => {
  test('is all that is checked on it, several of a kind included', async () => {
    const { toolkit } = await testToolkit();
    const [a, b] = [await tcpServer(), await tcpServer()];
    const { id: clientId } = await toolkit.clients.add({ name: 'Acme' });
    const list = [
      { host: '127.0.0.1', port: a },
      { host: '127.0.0.1', port: b },
    ];
    await toolkit.devices.add({ clientId, name: 'fw', metadata: { checks: { tcp: list, cpu: false } } });
    const { results } = await (await toolkit.health.check(clientId)).result();
    expect(results.map((r) => [r.check, r.instance, r.status])).toEqual([
      ['tcp', `127.0.0.1:${a}`, 'healthy'],
      ['tcp', `127.0.0.1:${b}`, 'healthy'],
    ]);
    // Asked for by name, a check that needs settings is made only where there are some.
    const http = await (await toolkit.health.check(clientId, { checks: ['http', 'tcp'] })).result();
    expect(new Set(http.results.map((r) => r.check))).toEqual(new Set(['tcp']));
  });

  test.each([
    [{ checks: { gpu: {} } }, 'There is no check "gpu"'],
    [{ checks: { http: { url: 'ftp://x' } } }, 'must be an http or https address'],
    [{ checks: { http: {} } }, 'url'],
    [{ checks: { http: { url: 'https://me:secret@x.example/' } } }, 'must not hold a user or a password'],
    [{ checks: { tcp: { host: 'x', port: 70_000 } } }, 'port'],
    [{ checks: { cpu: { windowSecs: 1 } } }, 'windowSecs'],
    [{ thresholds: { cpu: { warning: 99, critical: 90 } } }, 'must not be above critical'],
    [{ thresholds: { cpuu: { warning: 1 } } }, 'cpuu'],
    [{ dependsOn: ['nobody'] }, 'no other device of that name'],
  ])('%j is refused with the reason', async (metadata, words) => {
    const { toolkit } = await testToolkit();
    const { id: clientId } = await toolkit.clients.add({ name: 'Acme' });
    await expect(toolkit.devices.add({ clientId, name: 'x', metadata: metadata as never })).rejects.toThrow(
      words,
    );
  });

  test('that can not be read any more is unknown with the reason, not left out', async () => {
    const { toolkit } = await testToolkit();
    const { clientId, deviceId } = await clientHere(toolkit);
    const stale = JSON.stringify({ checks: { http: { url: 5 }, sonar: {} } });
    const em = toolkit.parts.storage.em();
    await em.getConnection().execute('update devices set metadata = ? where id = ?', [stale, deviceId]);
    const { results } = await (await toolkit.health.check(clientId)).result();
    expect(results.map((r) => [r.check, r.status, r.message])).toEqual([
      ['http', 'unknown', expect.stringContaining('its settings are not valid')],
      ['sonar', 'unknown', 'there is no check "sonar"'],
    ]);
  });
});

test('thresholds say where each comes from: default, configuration, tier, client, device', async () => {
  const { toolkit } = await testToolkit({
    healthChecks: {
      thresholds: { cpu: { warning: 70 } },
      tiers: { gold: { thresholds: { memory: { warning: 60 } } } },
    },
  });
  const { id: clientId } = await toolkit.clients.add({
    name: 'Acme',
    tier: 'gold',
    metadata: { thresholds: { disk: { warning: 50 } } },
  });
  await toolkit.devices.add({
    clientId,
    name: hostname(),
    metadata: { thresholds: { disk: { critical: null }, memory: { warning: 0.1 } } },
  });
  const rows = await toolkit.health.thresholds(clientId);
  const of = (key: string, device: string | null = null) =>
    rows.find((r) => r.key === key && r.device === device);
  expect(of('cpu')).toMatchObject({
    warning: 70,
    warningFrom: 'configuration',
    critical: 95,
    criticalFrom: 'default',
  });
  expect(of('memory')).toMatchObject({ warning: 60, warningFrom: 'tier gold' });
  expect(of('disk')).toMatchObject({ warning: 50, warningFrom: `client ${clientId}` });
  expect(of('disk', hostname())).toMatchObject({
    critical: null,
    criticalFrom: `device ${hostname()}`,
    warning: 50,
  });
  const { results } = await (await toolkit.health.check(clientId, { checks: ['memory'] })).result();
  expect(results[0]).toMatchObject({ status: 'warning', thresholds: { warning: 0.1, critical: 95 } });
});

test('alerts are told while the schedules run', async () => {
  const { toolkit } = await testToolkit({
    healthChecks: { attempts: 1, thresholds: { memory: { warning: 0, critical: 100 } } },
    alerts: { groupSeconds: 0, channels: [{ name: 'team', type: 'webhook', url: 'http://127.0.0.1:1/' }] },
  });
  const { clientId } = await clientHere(toolkit);
  await (await toolkit.health.check(clientId, { checks: ['memory'] })).result();
  expect(await toolkit.alerts.list()).toMatchObject([{ severity: 'warning', check: 'memory' }]);
  await delay(20);
  await toolkit.startScheduler();
  await until(
    'a message was asked for',
    async () => (await toolkit.jobs.list({ type: 'alert.notify' })).length === 1,
  );
});
