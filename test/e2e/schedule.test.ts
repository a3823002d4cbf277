import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { cli, start } from '../support/cli.ts';
import { scratchHome, until } from '../support/home.ts';
import { externalRedis, freePort } from '../support/redis.ts';

const payload = JSON.stringify({ clientId: 'acme-corp', checks: ['memory'] });
const hourly = ['schedule', 'add', '--name', 'hourly', '--cron', '0 * * * *', '--job', 'health.check'];

async function withClient(): Promise<string> {
  const home = await scratchHome();
  await cli(['client', 'add', '--name', 'Acme Corp', '--timezone', 'America/New_York'], { home });
  await cli(['device', 'add', '--client-id', 'acme-corp', '--name', hostname()], { home });
  return home;
}

/** Starts serve and answers once it says that it runs. */
async function serve(home: string, env: Record<string, string> = {}) {
  const child = start(['serve'], { home, env });
  let stderr = '';
  child.stderr?.on('data', (data: Buffer) => (stderr += data.toString()));
  await until('serve runs', () => stderr.includes('Running the queues'));
  return { child, stderr: () => stderr };
}

interface Shown {
  slots: { slot: string; outcome: string; reason: string | null; jobState: string | null; jobId: string }[];
  totals: { run: number; skipped: number; missed: number };
}

const shown = async (home: string, name: string) =>
  (await cli(['schedule', 'show', name, '--json'], { home })).json<Shown>();

describe('schedules', () => {
  test('are added, listed, shown, changed, paused, resumed and removed', async () => {
    const home = await withClient();
    const added = await cli([...hourly, '--payload', payload, '--timezone', 'Europe/Berlin', '--json'], {
      home,
    });
    expect(added.json()).toMatchObject({
      name: 'hourly',
      cron: '0 * * * *',
      timezone: 'Europe/Berlin',
      jobType: 'health.check',
      payload: JSON.parse(payload),
      misfire: 'once',
      overlap: 'skip',
      paused: false,
      source: 'command',
      lastRunAt: null,
      nextRunAt: expect.stringMatching(/:00:00.000Z$/),
    });
    const twice = await cli([...hourly, '--payload', payload], { home });
    expect([twice.code, twice.stderr]).toEqual([
      1,
      expect.stringContaining('There is a schedule "hourly" already.'),
    ]);
    const changed = await cli(
      [
        'schedule',
        'update',
        'hourly',
        '--misfire',
        'all',
        '--misfire-window',
        '3600',
        '--overlap',
        'queue',
        '--json',
      ],
      { home },
    );
    expect(changed.json()).toMatchObject({ misfire: 'all', misfireWindowSeconds: 3600, overlap: 'queue' });
    expect((await cli(['schedule', 'pause', 'hourly', '--json'], { home })).json()).toMatchObject({
      paused: true,
      nextRunAt: null,
    });
    expect((await cli(['schedule', 'resume', 'hourly', '--json'], { home })).json()).toMatchObject({
      paused: false,
    });
    expect((await cli(['schedule', 'list', '--json'], { home })).json()).toMatchObject([{ name: 'hourly' }]);
    expect((await cli(['schedule', 'remove', 'hourly'], { home })).code).toBe(2);
    expect((await cli(['schedule', 'remove', 'hourly', '--yes'], { home })).code).toBe(0);
    expect((await cli(['schedule', 'show', 'hourly'], { home })).code).toBe(1);
  });

  test.each([
    [['--cron', 'whenever'], /cron "whenever" can't be read/],
    [['--cron', '0 0 30 2 *'], /cron "0 0 30 2 \*" never comes/],
    [['--timezone', 'Mars/Olympus'], /timezone: must be an IANA timezone/],
    [['--job', 'make.coffee'], /no job type "make.coffee"; known are/],
    [['--payload', '{"clientId":7}'], /payload of health.check is not valid: clientId/],
    [['--payload', '[]'], /must be a JSON object/],
    [['--misfire', 'maybe'], /Allowed choices are skip, once, all/],
  ])('with %j are refused as wrong usage, in one sentence', async (wrong, words) => {
    const home = await withClient();
    const given = [...hourly, '--payload', payload, ...wrong];
    const { code, stderr } = await cli(given, { home });
    expect([code, stderr]).toEqual([2, expect.stringMatching(words)]);
    expect((await cli(['schedule', 'list', '--json'], { home })).json()).toEqual([]);
  });

  test("preview their coming runs in the client's time, with changes of the clocks", async () => {
    const home = await withClient();
    await cli([...hourly, '--payload', payload], { home });
    await cli(['schedule', 'update', 'hourly', '--cron', '30 2 8 3 *', '--timezone', 'America/New_York'], {
      home,
    });
    const runs = (await cli(['schedule', 'next', 'hourly', '--count', '2', '--json'], { home })).json<
      { at: string; local: string; clientLocal: string }[]
    >();
    expect(runs).toHaveLength(2);
    expect(runs[0]?.local).toBe(runs[0]?.clientLocal);
  });

  test('do their work at once when asked to', async () => {
    const home = await withClient();
    await cli([...hourly, '--payload', payload], { home });
    const ran = await cli(['schedule', 'run', 'hourly', '--json'], { home });
    expect(ran.json()).toMatchObject({
      type: 'health.check',
      state: 'succeeded',
      result: { clientId: 'acme-corp' },
    });
  });

  test('of the configuration run while serve does, and are told apart', async () => {
    const home = await withClient();
    await writeFile(
      join(home, 'config.yaml'),
      `schedules:\n  - name: often\n    cron: "* * * * * *"\n    overlap: allow\n    jobType: health.check\n    payload: ${payload}\n`,
    );
    const { child } = await serve(home);
    await until('a slot has run', async () =>
      (await shown(home, 'often')).slots.some((s) => s.jobState === 'succeeded'),
    );
    expect((await cli(['schedule', 'list', '--json'], { home })).json()).toMatchObject([
      { name: 'history-rollup', source: 'product' },
      { name: 'often', source: 'configuration' },
    ]);
    const refused = await cli(['schedule', 'remove', 'often', '--yes'], { home });
    expect(refused.stderr).toContain('stands in the configuration');
    child.kill('SIGTERM');
    expect(await once(child, 'exit')).toEqual([0, null]);
  });
});

test('serve killed, its Redis wiped, and started again: the schedule tells what ran, what did not, and why', async () => {
  const home = await withClient();
  const args = ['schedule', 'add', '--name', 'often', '--cron', '*/2 * * * * *', '--job', 'health.check'];
  await cli([...args, '--overlap', 'allow', '--misfire', 'skip', '--payload', payload], { home });
  const first = await serve(home);
  await until('a slot has run', async () =>
    (await shown(home, 'often')).slots.some((s) => s.jobState === 'succeeded'),
  );
  first.child.kill('SIGKILL');
  await once(first.child, 'exit');
  spawnSync('redis-cli', ['-s', join(home, 'redis/redis.sock'), 'flushall']);
  const before = (await shown(home, 'often')).totals.run;
  // Two slots go by while nobody is there.
  const back = Date.now() + 5000;
  await until('time has passed', () => Date.now() > back);
  const found = (await cli(['doctor', '--json'], { home })).json<{ name: string; message: string }[]>();
  expect(found.find(({ name }) => name === 'serve')?.message).toMatch(/without a word since|overdue/);
  const { child } = await serve(home);
  await until('it runs again', async () => (await shown(home, 'often')).totals.run > before + 1);
  await until('and its jobs end', async () =>
    (await shown(home, 'often')).slots.slice(2).every((s) => s.jobId === null || s.jobState === 'succeeded'),
  );
  const { slots, totals } = await shown(home, 'often');
  expect(totals.missed).toBeGreaterThanOrEqual(1);
  expect(slots.find((s) => s.outcome === 'missed')?.reason).toBe('nobody was there at its time');
  // Each two-second slot from the first to the last is there once.
  const jobs = (
    await cli(['job', 'list', '--type', 'health.check', '--limit', '500', '--json'], { home })
  ).json<{ id: string }[]>();
  expect(jobs).toHaveLength((await shown(home, 'often')).totals.run);
  const span = Date.parse(slots[0]?.slot ?? '') - Date.parse(slots.at(-1)?.slot ?? '');
  expect(totals.run + totals.missed + totals.skipped).toBe(span / 2000 + 1);
  const doctor = (await cli(['doctor', '--json'], { home })).json<
    { name: string; status: string; message: string }[]
  >();
  expect(doctor.find(({ name }) => name === 'serve')).toMatchObject({
    message: expect.stringMatching(/serve on/),
  });
  child.kill('SIGTERM');
  await once(child, 'exit');
}, 120_000);

describe('serve', () => {
  const perl = `use Socket; socket(my $s, AF_UNIX, SOCK_DGRAM, 0); bind($s, sockaddr_un($ARGV[0])) or die; $|=1; print "bound\\n"; while (defined recv($s, my $m, 4096, 0)) { $m =~ s/\\n/ /g; print "$m\\n" }`;

  test.skipIf(spawnSync('systemd-notify', ['--version']).status !== 0)(
    'tells systemd that it is ready, that it lives, and that it stops',
    async () => {
      const home = await scratchHome();
      const socket = join(home, 'notify');
      const listener = spawn('perl', ['-e', perl, socket]);
      onTestFinished(() => void listener.kill('SIGKILL'));
      let said = '';
      listener.stdout.on('data', (data: Buffer) => (said += data.toString()));
      await until('systemd listens', () => said.includes('bound'));
      const { child } = await serve(home, { NOTIFY_SOCKET: socket, WATCHDOG_USEC: '1000000' });
      await until('ready', () => said.includes('READY=1'));
      expect(said).toContain(`MAINPID=${child.pid}`);
      await until('the watchdog is told', () => said.includes('WATCHDOG=1'));
      child.kill('SIGTERM');
      await once(child, 'exit');
      expect(said).toContain('STOPPING=1');
    },
  );

  test('has a systemd unit that systemd accepts', async () => {
    const unit = join(import.meta.dirname, '../../deploy/msp-toolkit.service');
    const { stderr, error } = spawnSync('systemd-analyze', ['verify', '--man=no', unit], {
      encoding: 'utf8',
    });
    const complaints = error ? [] : stderr.split('\n').filter((line) => line.includes('msp-toolkit.service'));
    expect(complaints).toEqual([]);
    expect(await readFile(unit, 'utf8')).toContain('Type=notify');
  });

  test('tells Prometheus its figures on a loopback port, if that is wanted', async () => {
    const home = await withClient();
    const port = await freePort();
    const { child, stderr } = await serve(home, { MSP_METRICS_PORT: String(port) });
    expect(stderr()).toContain(`http://127.0.0.1:${port}/metrics`);
    await cli(['health', 'check', 'acme-corp', '--checks', 'memory'], { home });
    const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
    for (const line of [
      /^msp_job_attempts_total\{type="health.check",outcome="succeeded"\} 1$/m,
      /^msp_job_attempt_seconds_count\{type="health.check"\} \d+$/m,
      /^msp_redis_up 1$/m,
      /^msp_redis_ping_seconds 0\.\d+/m,
      /^msp_sqlite_bytes\{file="database"\} \d{5,}$/m,
      /^msp_sqlite_commit_seconds 0\.\d+/m,
      /^msp_worker_processes\{alive="yes"\} 1$/m,
      /^msp_schedule_lag_seconds_count 0$/m,
    ])
      expect(text).toMatch(line);
    expect((await fetch(`http://127.0.0.1:${port}/`)).status).toBe(404);
    const second = await serve(home, { MSP_METRICS_PORT: String(port) });
    expect(second.stderr()).toContain(`can't be served on port ${port}`);
    second.child.kill('SIGTERM');
    await once(second.child, 'exit');
    child.kill('SIGTERM');
    await once(child, 'exit');
  });

  test('sends traces to a collector, if one is configured, from the asking to the work', async () => {
    const home = await withClient();
    const spans: { traceId: string; name: string }[] = [];
    const collector = createServer((request, response) => {
      let body = '';
      request.on('data', (part: Buffer) => (body += part.toString()));
      request.on('end', () => {
        const { resourceSpans } = JSON.parse(body) as {
          resourceSpans: { scopeSpans: { spans: { traceId: string; name: string }[] }[] }[];
        };
        spans.push(...resourceSpans.flatMap((r) => r.scopeSpans.flatMap((s) => s.spans)));
        response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
      });
    }).listen(0, '127.0.0.1');
    onTestFinished(() => void collector.close());
    await once(collector, 'listening');
    const url = `http://127.0.0.1:${(collector.address() as AddressInfo).port}/v1/traces`;
    const env = { MSP_TELEMETRY_OTLP_URL: url };
    expect((await cli(['health', 'check', 'acme-corp', '--checks', 'memory'], { home, env })).code).toBe(0);
    const added = spans.find(({ name }) => name.startsWith('add general'));
    const worked = spans.find(({ name }) => name.startsWith('process general'));
    expect(worked).toBeDefined();
    expect(worked?.traceId).toBe(added?.traceId);
  });

  test('stops at once at a second signal, however much still runs, and nothing is lost', async () => {
    const home = await withClient();
    const { child, stderr } = await serve(home);
    // The processor is watched for a second, so the probe still runs when the second signal comes.
    const check = ['health', 'check', 'acme-corp', '--checks', 'cpu', '--json'];
    const started = (await cli([...check, '--no-wait'], { home })).json<{ id: string }>();
    await until('the probe runs', () => stderr().includes('parked'));
    child.kill('SIGTERM');
    await until('it drains', () => stderr().includes('Stopping'));
    child.kill('SIGTERM');
    expect(await once(child, 'exit')).toEqual([143, null]);
    expect((await cli(['job', 'wait', started.id], { home })).code).toBe(0);
  });

  test('refuses queues that belong to another database', async () => {
    const { url } = await externalRedis();
    const env = { MSP_REDIS_URL: url, MSP_REDIS_PREFIX: 'shared' };
    const { child } = await serve(await scratchHome(), env);
    const other = await cli(['serve'], { home: await scratchHome(), env });
    expect([other.code, other.stderr]).toEqual([2, expect.stringContaining('belong to another database')]);
    child.kill('SIGTERM');
    await once(child, 'exit');
  });
});

describe('a job of any type', () => {
  test('is started by name with a payload from standard input or a file', async () => {
    const home = await withClient();
    const piped = await cli(['job', 'start', 'health.check', '--payload', '-', '--json'], {
      home,
      input: payload,
    });
    expect(piped.json()).toMatchObject({
      type: 'health.check',
      state: 'succeeded',
      requestedBy: expect.stringContaining('cli'),
    });
    const file = join(home, 'wish.json');
    await writeFile(file, payload);
    const started = await cli(['job', 'start', 'health.check', '--payload', file, '--no-wait', '--json'], {
      home,
    });
    expect(started.json()).toMatchObject({ state: expect.stringMatching(/pending|queued/) });
  });

  test.each([
    ['make.coffee', '{}', /no job type "make.coffee".*\nKnown are/],
    ['health.check', '{"client":"x"}', /payload of health.check is not valid/],
    ['health.check', 'nonsense', /payload is not a JSON object/],
  ])('%s with %s is refused as wrong usage', async (type, input, words) => {
    const { code, stderr } = await cli(['job', 'start', type, '--payload', '-'], {
      home: await scratchHome(),
      input,
    });
    expect([code, stderr]).toEqual([2, expect.stringMatching(words)]);
  });

  test('tells what it takes', async () => {
    const types = (await cli(['job', 'types', '--json'], { home: await scratchHome() })).json<
      { type: string; fields: unknown }[]
    >();
    expect(types.find(({ type }) => type === 'health.check')?.fields).toEqual([
      { name: 'clientId', required: false },
      { name: 'all', required: false },
      { name: 'checks', required: false },
    ]);
  });

  test('that is dead shows each attempt, and is retried by filter', async () => {
    const home = await scratchHome();
    // There is no such client, so the job fails for good.
    await cli(['job', 'start', 'health.check', '--payload', '-'], { home, input: '{"clientId":"nobody"}' });
    const [failed] = (await cli(['job', 'list', '--state', 'failed', '--json'], { home })).json<
      { id: string }[]
    >();
    const job = (await cli(['job', 'show', failed?.id ?? '', '--json'], { home })).json<{
      history: unknown[];
    }>();
    expect(job.history).toMatchObject([
      {
        attempt: 1,
        outcome: 'failed',
        worker: expect.stringMatching(/:\d+$/),
        error: { code: 'CLIENT_NOT_FOUND' },
      },
    ]);
    const wish = ['job', 'retry', '--state', 'failed', '--type', 'health.check', '--json'];
    expect((await cli([...wish, '--dry-run'], { home })).json()).toMatchObject([
      { id: failed?.id, state: 'failed' },
    ]);
    expect((await cli(wish, { home })).json()).toMatchObject([{ id: failed?.id, state: 'pending' }]);
    const wait = await cli(['job', 'wait', failed?.id ?? ''], { home });
    expect(wait.code).toBe(1);
    const logs = await cli(['job', 'logs', failed?.id ?? '', '-f', '--json'], { home });
    const lines = logs.stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { attempt: number });
    expect(lines.map(({ attempt }) => attempt)).toEqual([1, 2]);
  });
});
