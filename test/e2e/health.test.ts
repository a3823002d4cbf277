import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { cli, start } from '../support/cli.ts';
import { scratchHome, until } from '../support/home.ts';

/** A home with a client whose device has a port that is closed and memory that is fine. */
async function withAlert(): Promise<{ home: string; id: string }> {
  const home = await scratchHome();
  await cli(['client', 'add', '--name', 'Acme Corp', '--tier', 'gold'], { home });
  const checks = { memory: {}, tcp: { host: '127.0.0.1', port: 1 } };
  await cli(
    [
      'device',
      'add',
      '--client-id',
      'acme-corp',
      '--name',
      hostname(),
      '--metadata',
      JSON.stringify({ checks }),
    ],
    { home },
  );
  const env = { MSP_HEALTH_CHECKS_ATTEMPTS: '1' };
  const checked = await cli(['health', 'check', 'acme-corp', '--json'], { home, env });
  expect(checked.code).toBe(0);
  const [alert] = (await cli(['alert', 'list', '--json'], { home })).json<{ id: string }[]>();
  return { home, id: alert?.id ?? '' };
}

describe('alerts on the command line', () => {
  test('are listed, shown, acknowledged, snoozed and resolved', async () => {
    const { home, id } = await withAlert();
    const run = (...args: string[]) => cli(['alert', ...args, '--json'], { home });
    expect((await run('show', id)).json()).toMatchObject({
      id,
      severity: 'critical',
      state: 'open',
      check: 'tcp',
      instance: '127.0.0.1:1',
      timeline: [{ what: 'opened', who: 'monitor' }],
    });
    expect((await run('ack', id, '--note', 'at it', '--until', '4h')).json()).toMatchObject({
      state: 'acknowledged',
      note: 'at it',
      acknowledgedBy: expect.stringMatching(/^cli/),
    });
    expect((await run('snooze', id, '--until', '2d')).json()).toMatchObject({ state: 'snoozed' });
    expect((await run('resolve', id, '--note', 'mended')).json()).toMatchObject({ state: 'resolved' });
    expect((await run('list')).json()).toEqual([]);
    expect((await run('list', '--state', 'all')).json()).toHaveLength(1);
    const table = await cli(['alerts', 'list', '--state', 'all'], { home });
    expect(table.stdout).toContain(`${hostname()} tcp 127.0.0.1:1`);
  });

  test.each([
    [['ack', 'x'], 2, 'note'],
    [['ack', 'x', '--note', 'y'], 1, 'There is no alert'],
    [['snooze', 'x'], 2, 'until'],
    [['snooze', 'x', '--until', 'whenever'], 2, 'duration such as'],
    [['list', '--state', 'broken'], 2, 'broken'],
    [['simulate'], 2, 'thresholds'],
    [['simulate', '--thresholds', '/no/such/file'], 2, "can't be read"],
  ])('%j is refused with a sentence', async (args, code, words) => {
    const home = await scratchHome();
    const ran = await cli(['alert', ...args], { home });
    expect(ran.code).toBe(code);
    expect(ran.stderr).toContain(words);
    expect(ran.stderr).not.toContain('    at ');
  });

  test('are simulated with thresholds from a file', async () => {
    const { home } = await withAlert();
    const file = join(home, 'new.yaml');
    await writeFile(file, 'thresholds:\n  memory: { warning: 0, critical: 100 }\nattempts: 1\n');
    const found = await cli(['alert', 'simulate', '--thresholds', file, '--json'], { home });
    expect(found.json()).toMatchObject({
      actual: 1,
      results: 2,
      alerts: expect.arrayContaining([expect.objectContaining({ check: 'memory', severity: 'warning' })]),
    });
    await writeFile(file, 'thresholds:\n  memry: { warning: 0 }\n');
    const wrong = await cli(['alert', 'simulate', '--thresholds', file], { home });
    expect(wrong.code).toBe(2);
    expect(wrong.stderr).toContain('memry');
  });
});

test('maintenance is planned, listed and removed, and keeps alerts from being raised', async () => {
  const home = await scratchHome();
  await cli(['client', 'add', '--name', 'Acme Corp', '--timezone', 'Europe/Berlin'], { home });
  const run = (...args: string[]) => cli(['maintenance', ...args, '--json'], { home });
  const added = await run(
    'add',
    '--client-id',
    'acme-corp',
    '--cron',
    '0 3 * * 0',
    '--duration',
    '2h',
    '--reason',
    'restart',
  );
  expect(added.json()).toMatchObject({
    timezone: 'Europe/Berlin',
    durationMinutes: 120,
    clientId: 'acme-corp',
  });
  const from = new Date(Date.now() - 60_000).toISOString();
  const to = new Date(Date.now() + 3_600_000).toISOString();
  await run('add', '--from', from, '--to', to, '--reason', 'now');
  expect((await run('list')).json()).toMatchObject([
    { reason: 'restart' },
    { reason: 'now', open: true, clientId: null },
  ]);
  const checks = { tcp: { host: '127.0.0.1', port: 1 } };
  await cli(
    ['device', 'add', '--client-id', 'acme-corp', '--name', 'web', '--metadata', JSON.stringify({ checks })],
    { home },
  );
  await cli(['health', 'check', 'acme-corp'], { home, env: { MSP_HEALTH_CHECKS_ATTEMPTS: '1' } });
  expect((await cli(['alert', 'list', '--json'], { home })).json()).toEqual([]);
  const { id } = added.json<{ id: string }>();
  expect((await run('remove', id)).json()).toMatchObject({ id, removedAt: expect.any(String) });
  expect((await run('list')).json()).toHaveLength(1);
  expect((await run('list', '--past')).json()).toHaveLength(2);
  for (const [args, words] of [
    [['add', '--reason', 'x'], 'either from and to'],
    [['add', '--reason', 'x', '--cron', 'never', '--duration', '1h'], "can't be read"],
    [['add', '--reason', 'x', '--from', to, '--to', from], 'to must be after from'],
    [['add', '--reason', 'x', '--from', 'soon', '--to', to], 'must be a time'],
  ] as const) {
    const wrong = await cli(['maintenance', ...args], { home });
    expect(wrong.code).toBe(2);
    expect(wrong.stderr).toContain(words);
  }
  expect((await run('remove', 'x')).code).toBe(1);
});

describe('what was measured', () => {
  test('comes as results, by the hour, and as CSV that a spreadsheet can take', async () => {
    const { home } = await withAlert();
    const run = (...args: string[]) => cli(['health', 'history', 'acme-corp', ...args], { home });
    expect((await run('--json')).json()).toHaveLength(2);
    expect((await run('--json', '--check', 'memory')).json()).toHaveLength(1);
    expect((await run('--json', '--device', hostname())).json()).toHaveLength(2);
    const [series] = (await run('--json', '--by', 'hour', '--check', 'memory', '--days', '1')).json<
      { value: string; points: { count: number; seconds: object }[] }[]
    >();
    expect(series).toMatchObject({ value: 'used', unit: '%' });
    expect(series?.points.filter((p) => p.count > 0)).toHaveLength(1);
    const csv = (await run('--csv')).stdout.trim().split('\n');
    expect(csv[0]).toBe('measured,device,check,instance,status,value,unit,finding');
    expect(csv).toHaveLength(3);
    expect((await run('--csv', '--by', 'minute')).stdout.split('\n')[0]).toMatch(/^from,to,device,check/);
    expect((await run('--device', 'nobody')).code).toBe(1);
  });

  test('is summed up by thresholds and availability', async () => {
    const { home } = await withAlert();
    const thresholds = (await cli(['health', 'thresholds', 'acme-corp', '--json'], { home })).json<
      { key: string }[]
    >();
    expect(thresholds.find(({ key }) => key === 'disk')).toMatchObject({
      warning: 85,
      warningFrom: 'default',
    });
    const found = await cli(['health', 'availability', 'acme-corp', '--period', 'last-1-days', '--json'], {
      home,
    });
    expect(found.json()).toMatchObject({
      overall: { percent: 0, outages: 1 },
      devices: [{ name: hostname() }],
    });
    const wrong = await cli(['health', 'availability', 'acme-corp', '--period', '2999-01'], { home });
    expect(wrong.code).toBe(2);
    expect(wrong.stderr).toContain('has not begun yet');
  });

  test('is watched until Ctrl-C', async () => {
    const { home } = await withAlert();
    const child = start(['health', 'status', '--watch', '1', '--json'], { home });
    let text = '';
    child.stdout?.on('data', (data: Buffer) => (text += data.toString()));
    await until('two looks', () => text.split('\n').length > 2);
    child.kill('SIGINT');
    const [code] = (await once(child, 'close')) as [number | null];
    expect(code).toBe(0);
    expect(JSON.parse(text.split('\n')[0] ?? '')).toMatchObject({
      clients: [{ clientId: 'acme-corp', status: 'critical', alerts: 1 }],
    });
  });
});
