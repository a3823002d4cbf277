import { once } from 'node:events';
import { spawn } from 'node:child_process';
import { existsSync, openSync, readFileSync } from 'node:fs';
import { chmod, mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { cli, start } from '../support/cli.ts';
import { scratchHome, until } from '../support/home.ts';
import { mayMount, mountOver } from '../support/mount.ts';
import { externalRedis } from '../support/redis.ts';
import { receiver } from '../support/smtp.ts';

async function withClient(): Promise<string> {
  const home = await scratchHome();
  expect((await cli(['client', 'add', '--name', 'Acme Corp', '--tier', 'gold'], { home })).code).toBe(0);
  const device = await cli(
    [
      'device',
      'add',
      '--client-id',
      'acme-corp',
      '--name',
      hostname(),
      '--type',
      'server',
      '--service',
      'node',
    ],
    { home },
  );
  expect(device.code).toBe(0);
  return home;
}

describe('clients and devices', () => {
  test('are added, listed, shown, changed and removed', async () => {
    const home = await withClient();
    const list = await cli(['client', 'list', '--json'], { home });
    expect(list.json()).toMatchObject([
      { id: 'acme-corp', name: 'Acme Corp', tier: 'gold', status: 'pending', timezone: 'UTC', metadata: {} },
    ]);
    const changed = await cli(
      ['client', 'update', 'acme-corp', '--email', 'it@acme.example', '--status', 'active', '--json'],
      { home },
    );
    expect(changed.json()).toMatchObject({
      contactEmail: 'it@acme.example',
      status: 'active',
      name: 'Acme Corp',
    });
    const devices = (await cli(['device', 'list', '--client-id', 'acme-corp', '--json'], { home })).json<
      { id: string; metadata: unknown }[]
    >();
    expect(devices).toMatchObject([{ name: hostname(), metadata: { services: ['node'] } }]);
    const id = devices[0]?.id ?? '';
    await cli(['device', 'update', id, '--rmm-id', 'R-7'], { home });
    expect((await cli(['device', 'show', id, '--json'], { home })).json()).toMatchObject({
      rmmDeviceId: 'R-7',
      metadata: { services: ['node'] },
    });

    const unsure = await cli(['client', 'remove', 'acme-corp'], { home });
    expect(unsure).toMatchObject({ code: 2, stderr: expect.stringContaining('--yes') });
    expect((await cli(['client', 'remove', 'acme-corp', '--yes'], { home })).code).toBe(0);
    expect((await cli(['device', 'list', '--json'], { home })).json()).toEqual([]);
  });

  test('keep what an update of their metadata does not name', async () => {
    const home = await withClient();
    const update = (metadata: object) =>
      cli(['client', 'update', 'acme-corp', '--metadata', JSON.stringify(metadata), '--json'], { home });
    await update({ slaTargetPercent: 99.5, floor: 3 });
    await update({ thresholds: { disk: { warning: 80 } } });
    expect((await update({ floor: null })).json()).toMatchObject({
      metadata: { slaTargetPercent: 99.5, thresholds: { disk: { warning: 80 } } },
    });
    const wrong = await update({ thresholds: { disk: { warning: 96 } } });
    expect(wrong.code).toBe(2);
    expect(wrong.stderr).toContain('must not be above critical 95');
  });

  test('are not touched by --dry-run, which says what would happen', async () => {
    const home = await withClient();
    const removal = (await cli(['client', 'remove', 'acme-corp', '--dry-run', '--json'], { home })).json();
    expect(removal).toMatchObject({ client: { id: 'acme-corp' }, devices: 1, checks: 0, reports: 0 });
    const onboarding = (
      await cli(['client', 'onboard', 'acme-corp', '--dry-run', '--json'], { home })
    ).json();
    expect(onboarding).toMatchObject({
      template: 'basic',
      steps: [{ name: 'record' }, {}, {}, {}, { action: 'activate' }],
    });
    expect((await cli(['client', 'show', 'acme-corp', '--json'], { home })).json()).toMatchObject({
      status: 'pending',
    });
    expect((await cli(['job', 'list', '--json'], { home })).json()).toEqual([]);
  });

  test('are tab-separated where no terminal reads, without colours or headings', async () => {
    const home = await withClient();
    const { stdout } = await cli(['client', 'list'], { home });
    expect(stdout).toBe('acme-corp\tAcme Corp\tpending\tgold\tUTC\t-\n');
  });
});

test('commands that start at the same moment on a new home all work, and start one Redis between them', async () => {
  const home = await scratchHome();
  const lists = await Promise.all(
    Array.from({ length: 6 }, () => cli(['client', 'list', '--json'], { home })),
  );
  expect(lists.map((ran) => [ran.code, ran.stdout])).toEqual(lists.map(() => [0, '[]\n']));
  await cli(['client', 'add', '--name', 'Acme'], { home });
  await cli(['device', 'add', '--client-id', 'acme', '--name', hostname()], { home });
  const checks = await Promise.all(
    Array.from({ length: 4 }, () =>
      cli(['health', 'check', 'acme', '--checks', 'memory', '--json'], { home }),
    ),
  );
  expect(checks.map((ran) => ran.code)).toEqual([0, 0, 0, 0]);
  expect((await cli(['health', 'history', 'acme', '--json'], { home })).json()).toHaveLength(4);
  const log = await readFile(join(home, 'redis', 'redis.log'), 'utf8');
  expect(log.match(/Server initialized/g)).toHaveLength(1);
});

describe('a mistake', () => {
  test.each([
    ['an unknown client', ['client', 'show', 'nobody'], 1, 'CLIENT_NOT_FOUND'],
    ['an unknown verb', ['client', 'frobnicate'], 2, 'USAGE'],
    ['an unknown noun', ['clint', 'list'], 2, 'USAGE'],
    ['an unknown flag', ['client', 'list', '--frob'], 2, 'USAGE'],
    ['a missing argument', ['client', 'add'], 2, 'USAGE'],
    ['a tier that does not exist', ['client', 'add', '--name', 'X', '--tier', 'platinum'], 2, 'USAGE'],
    [
      'a timezone that does not exist',
      ['client', 'add', '--name', 'X', '--timezone', 'Mars/Olympus'],
      2,
      'VALIDATION',
    ],
    ['a name with a shell character', ['client', 'add', '--name', 'X; rm -rf'], 2, 'VALIDATION'],
    ['an id that is none', ['client', 'add', '--name', 'X', '--id', 'Not An Id'], 2, 'VALIDATION'],
    ['an unknown job', ['job', 'show', 'x'], 1, 'JOB_NOT_FOUND'],
    ['an unknown report', ['report', 'show', 'x'], 1, 'REPORT_NOT_FOUND'],
    ['neither a client nor --all', ['health', 'check'], 2, 'USAGE'],
    ['a period that is none', ['report', 'generate', 'nobody', '--period', 'soon'], 1, 'CLIENT_NOT_FOUND'],
  ])(
    'such as %s is one sentence, the right exit code, and JSON with --json',
    async (_name, args, code, errorCode) => {
      const home = await scratchHome();
      const plain = await cli(args, { home });
      expect(plain.code).toBe(code);
      expect(plain.stdout).toBe('');
      expect(plain.stderr).toMatch(/^Error: .+\n/);
      expect(plain.stderr).not.toMatch(/\n\s+at /);
      const json = await cli([...args, '--json'], { home });
      expect(json.code).toBe(code);
      expect(json.stdout).toBe('');
      expect(JSON.parse(json.stderr)).toMatchObject({
        error: { code: errorCode, message: expect.any(String), details: expect.any(Object) },
      });
    },
  );

  test('such as a duplicate id leaves the first as it was', async () => {
    const home = await withClient();
    const again = await cli(['client', 'add', '--name', 'Other', '--id', 'acme-corp', '--json'], { home });
    expect(again.code).toBe(1);
    expect(JSON.parse(again.stderr).error.code).toBe('CLIENT_EXISTS');
    expect((await cli(['client', 'show', 'acme-corp', '--json'], { home })).json()).toMatchObject({
      name: 'Acme Corp',
    });
  });

  test('that only the job finds is one sentence too, and one JSON document with --json', async () => {
    const home = await withClient();
    const plain = await cli(['report', 'generate', 'acme-corp', '--template', 'nope', '--quiet'], { home });
    expect(plain.stderr).toMatch(/^Error: There is no report template "nope"\.\n.+\n$/);
    const json = await cli(['report', 'generate', 'acme-corp', '--template', 'nope', '--json'], { home });
    expect(json.code).toBe(2);
    expect(JSON.parse(json.stderr).error.code).toBe('TEMPLATE_NOT_FOUND');
  });

  test('such as a misspelt verb suggests the right one', async () => {
    const { stderr } = await cli(['client', 'lst'], { home: await scratchHome() });
    expect(stderr).toContain('list');
  });

  test('in the configuration is named with its line, all at once', async () => {
    const home = await scratchHome();
    await writeFile(join(home, 'config.yaml'), 'general:\n  logLevl: info\nmail:\n  port: many\n');
    const { code, stderr } = await cli(['client', 'list'], { home });
    expect(code).toBe(2);
    expect(stderr).toContain('line 2: general.logLevl — no such setting; did you mean logLevel?');
    expect(stderr).toContain('line 4: mail.port');
  });

  test('in the schedules is found by config validate, all at once', async () => {
    const home = await scratchHome();
    const schedules = [
      { name: 'a', cron: '61 * * * *', jobType: 'health.check', payload: { clientId: 'x' } },
      { name: 'b', cron: '* * * * *', jobType: 'health.chek' },
    ];
    await writeFile(join(home, 'config.yaml'), JSON.stringify({ schedules }));
    const { code, stderr } = await cli(['config', 'validate'], { home });
    expect(code).toBe(2);
    expect(stderr).toMatch(
      /schedules\.a — the cron "61 \* \* \* \*".*schedules\.b — there is no job type "health\.chek"/,
    );
  });

  test('of a secret in the configuration points to where secrets go', async () => {
    const home = await scratchHome();
    await writeFile(join(home, 'config.yaml'), 'mail: { password: hunter2 }\n');
    const { code, stderr } = await cli(['client', 'list'], { home });
    expect(code).toBe(2);
    expect(stderr).toContain('mail.password — secrets are no settings; see: msp-toolkit credential set');
  });

  test('such as output that can not be written is an error', async () => {
    const home = await withClient();
    const full = openSync('/dev/full', 'w');
    const child = spawn(
      process.execPath,
      [join(import.meta.dirname, '../../dist/main.js'), 'client', 'list', '--json'],
      {
        env: { PATH: process.env['PATH'], MSP_HOME: home },
        stdio: ['ignore', full, 'pipe'],
      },
    );
    const [code] = (await once(child, 'close')) as [number];
    expect(code).toBe(1);
  });

  test('in YAML itself too', async () => {
    const home = await scratchHome();
    await writeFile(join(home, 'bad.yaml'), 'general: [');
    const { code, stderr } = await cli(['config', 'validate', '--config', join(home, 'bad.yaml')], { home });
    expect(code).toBe(2);
    expect(stderr).toMatch(/line \d/);
  });

  test('such as a home that is a file says so', async () => {
    const home = await scratchHome();
    await writeFile(join(home, 'file'), '');
    const { code, stderr } = await cli(['client', 'list'], { home, env: { MSP_HOME: join(home, 'file') } });
    expect(code).toBe(2);
    expect(stderr).toContain("can't be used");
  });

  test.skipIf(!mayMount)('such as a home that may not be written to says so', async () => {
    const home = await scratchHome();
    mountOver(home, 'size=1m,ro');
    const { code, stderr } = await cli(['client', 'list', '--json'], { home, cwd: '/' });
    expect(code).toBe(2);
    expect(JSON.parse(stderr).error).toMatchObject({
      code: 'HOME_UNUSABLE',
      message: expect.stringContaining(home),
    });
  });

  test('such as a home too deep for a socket is said before anything is accepted', async () => {
    const home = join(await scratchHome(), 'x'.repeat(100));
    await mkdir(home);
    await cli(['client', 'add', '--name', 'Acme'], { home });
    const { code, stderr } = await cli(['health', 'check', 'acme', '--json'], { home });
    expect(code).toBe(2);
    expect(JSON.parse(stderr).error.code).toBe('HOME_PATH_TOO_LONG');
    expect((await cli(['job', 'list', '--json'], { home })).json()).toEqual([]);
  });

  test('such as Redis out of reach is told within seconds, and nothing is accepted', async () => {
    const home = await withClient();
    const env = { MSP_REDIS_URL: 'redis://:hunter2@127.0.0.1:1' };
    const before = performance.now();
    const { code, stderr } = await cli(['health', 'check', 'acme-corp'], { home, env });
    expect(performance.now() - before).toBeLessThan(6000);
    expect(code).toBe(1);
    expect(stderr).toContain('does not answer');
    expect(stderr).not.toContain('hunter2');
    expect((await cli(['job', 'list', '--json'], { home, env })).json()).toEqual([]);
  });
});

describe('a health check', () => {
  test('brings up its own worker, waits with progress, and answers in the agreed form', async () => {
    const home = await withClient();
    const { code, json, stderr } = await cli(['health', 'check', 'acme-corp', '--json'], { home });
    expect(stderr).toBe('');
    expect(code).toBe(0);
    expect(json()).toMatchObject({
      job: {
        type: 'health.check',
        state: 'succeeded',
        attempts: 1,
        requestedBy: expect.stringMatching(/^cli/),
      },
      clientId: 'acme-corp',
      status: expect.stringMatching(/healthy|warning|critical|unknown/),
      summary: { total: expect.any(Number) },
    });
    const history = (await cli(['health', 'history', 'acme-corp', '--days', '1', '--json'], { home })).json<
      unknown[]
    >();
    expect(history).toHaveLength(json<{ results: unknown[] }>().results.length);
    expect((await cli(['health', 'status', '--json'], { home })).json()).toMatchObject([
      { clientId: 'acme-corp' },
    ]);
  });

  test('of all clients answers with an array, and --exit-status tells that not all is well', async () => {
    const home = await withClient();
    await cli(['client', 'add', '--name', 'Other'], { home });
    await cli(['device', 'add', '--client-id', 'other', '--name', 'not-here'], { home });
    await cli(['client', 'add', '--name', 'Gone'], { home });
    await cli(['client', 'update', 'gone', '--status', 'suspended'], { home });
    const { code, json } = await cli(
      ['health', 'check', '--all', '--checks', 'cpu', '--json', '--exit-status'],
      { home },
    );
    expect(code).toBe(3);
    expect(json<{ clientId: string; status: string }[]>().map((c) => c.clientId)).toEqual([
      'acme-corp',
      'other',
    ]);
    expect(json<{ status: string }[]>()[1]?.status).toBe('unknown');
  });

  test('with --no-wait prints the job at once, and another command waits for it', async () => {
    const home = await withClient();
    const { json } = await cli(['health', 'check', 'acme-corp', '--no-wait', '--json'], { home });
    const { id } = json<{ id: string }>();
    expect(['pending', 'queued']).toContain(json<{ state: string }>().state);
    const waited = await cli(['job', 'wait', id, '--json'], { home });
    expect(waited.json()).toMatchObject({ id, state: 'succeeded' });
    expect((await cli(['job', 'list', '--json'], { home })).json()).toMatchObject([
      { id, state: 'succeeded' },
    ]);
  });

  test('that waits can be cancelled', async () => {
    const home = await withClient();
    const { id } = (await cli(['health', 'check', 'acme-corp', '--no-wait', '--json'], { home })).json<{
      id: string;
    }>();
    expect((await cli(['job', 'cancel', id, '--json'], { home })).json()).toMatchObject({
      state: 'cancelled',
    });
    const waited = await cli(['job', 'wait', id, '--json'], { home });
    expect(waited.code).toBe(1);
    expect(waited.json()).toMatchObject({ id, state: 'cancelled', attempts: 0 });
    expect(JSON.parse(waited.stderr).error).toMatchObject({ code: 'JOB_FAILED' });
    const again = await cli(['job', 'cancel', id, '--json'], { home });
    expect(JSON.parse(again.stderr).error.code).toBe('JOB_STATE');
  });

  test('interrupted with Ctrl-C ends with 130, and the job goes on afterwards', async () => {
    const home = await withClient();
    const child = start(['health', 'check', 'acme-corp'], { home });
    let stderr = '';
    child.stderr?.on('data', (data: Buffer) => (stderr += data.toString()));
    await until('measuring', () => stderr.includes('measuring'));
    child.kill('SIGINT');
    const [code] = (await once(child, 'close')) as [number];
    expect(code).toBe(130);
    expect(stderr).toContain('goes on');
    const [job] = (await cli(['job', 'list', '--json'], { home })).json<{ id: string }[]>();
    expect((await cli(['job', 'wait', job?.id ?? '', '--json'], { home })).json()).toMatchObject({
      state: 'succeeded',
    });
  });
});

describe('onboarding and reports', () => {
  test('onboards, writes a PDF and mails it', async () => {
    const { port, messages } = await receiver();
    const home = await withClient();
    await writeFile(
      join(home, 'config.yaml'),
      `mail:\n  host: 127.0.0.1\n  port: ${port}\n  from: MSP <r@msp.example>\n`,
    );
    const onboarded = await cli(['client', 'onboard', 'acme-corp', '--template', 'basic', '--json'], {
      home,
    });
    expect(onboarded.json()).toMatchObject({
      clientId: 'acme-corp',
      template: 'basic',
      job: { state: 'succeeded' },
    });
    const generated = await cli(['report', 'generate', 'acme-corp', '--email', 'it@acme.example', '--json'], {
      home,
    });
    const { report, delivery } = generated.json<{ report: { id: string; path: string }; delivery: object }>();
    expect(readFileSync(report.path).subarray(0, 5).toString()).toBe('%PDF-');
    expect(delivery).toMatchObject({ state: 'sent', recipient: 'it@acme.example' });
    expect(messages).toHaveLength(1);
    expect((await cli(['report', 'show', report.id, '--json'], { home })).json()).toMatchObject({
      deliveries: [{ state: 'sent' }],
    });
    expect((await cli(['report', 'list', '--client-id', 'acme-corp'], { home })).stdout).toContain(
      report.path,
    );
    const logs = (
      await cli(['job', 'logs', onboarded.json<{ job: { id: string } }>().job.id, '--json'], { home })
    ).json<{ message: string }[]>();
    expect(logs.map((l) => l.message)).toContain('step activate: done');
  });
});

test('a mail that can not go out yet is told at its first try, and kept for the next ones', async () => {
  const home = await withClient();
  const env = { MSP_MAIL_HOST: '127.0.0.1', MSP_MAIL_PORT: '1' };
  const args = [
    'report',
    'generate',
    'acme-corp',
    '--format',
    'markdown',
    '--email',
    'it@acme.example',
    '--json',
  ];
  const { code, stderr } = await cli(args, { home, env });
  expect(code).toBe(1);
  const { error } = JSON.parse(stderr);
  expect(error).toMatchObject({ code: 'MAIL_UNAVAILABLE', hint: expect.stringContaining('tried again') });
  const job = (await cli(['job', 'show', error.details.jobId, '--json'], { home })).json();
  expect(job).toMatchObject({ type: 'report.send', clientId: 'acme-corp', state: 'queued', attempts: 1 });
  expect((await cli(['report', 'list', '--json'], { home })).json()).toHaveLength(1);
});

describe('secrets', () => {
  test('come from standard input, are listed by name alone, and land in a private file on a server', async () => {
    const home = await scratchHome();
    const env = { DBUS_SESSION_BUS_ADDRESS: 'disabled:' };
    const set = await cli(['credential', 'set', 'mail', 'password', '--json'], {
      home,
      env,
      input: 'hunter2\n',
    });
    expect(set.json()).toEqual({ service: 'mail', key: 'password', store: 'file' });
    const list = await cli(['credential', 'list'], { home, env });
    expect(list.stdout).toBe('mail\tpassword\tfile\n');
    expect(list.stdout + list.stderr + set.stdout).not.toContain('hunter2');
    expect((await stat(join(home, 'secrets.enc'))).mode & 0o077).toBe(0);
    await chmod(join(home, 'secrets.enc'), 0o644);
    expect((await cli(['credential', 'list'], { home, env })).code).toBe(4);
    await chmod(join(home, 'secrets.enc'), 0o600);
    expect((await cli(['credential', 'remove', 'mail', 'password', '--yes'], { home, env })).code).toBe(0);
    const audit = await readFile(join(home, 'toolkit.db'));
    expect(audit.includes('hunter2')).toBe(false);
  });

  test('that are empty are refused', async () => {
    expect(
      (await cli(['credential', 'set', 'mail', 'password'], { home: await scratchHome(), input: '' })).code,
    ).toBe(2);
  });
});

describe('the configuration', () => {
  test('is written once by init, valid, and never over another', async () => {
    const home = await scratchHome();
    expect((await cli(['init'], { home })).code).toBe(0);
    expect(await readFile(join(home, 'config.yaml'), 'utf8')).toContain('yaml-language-server');
    expect((await cli(['config', 'validate', '--json'], { home })).json()).toEqual({
      valid: true,
      file: join(home, 'config.yaml'),
    });
    await writeFile(join(home, 'config.yaml'), 'general: { companyName: Mine }\n');
    expect((await cli(['init', '--json'], { home })).json()).toMatchObject({ created: false });
    expect((await cli(['config', 'init'], { home })).code).toBe(2);
    const shown = (
      await cli(['config', 'show', '--json'], { home, env: { MSP_GENERAL_TIMEZONE: 'Europe/Berlin' } })
    ).json();
    expect(shown).toMatchObject({
      settings: { general: { companyName: 'Mine', timezone: 'Europe/Berlin' } },
    });
    expect(JSON.parse((await cli(['config', 'schema'], { home })).stdout)).toHaveProperty('properties.mail');
  });

  test('is shown without the passwords in it', async () => {
    const { stdout } = await cli(['config', 'show'], {
      home: await scratchHome(),
      env: { MSP_REDIS_URL: 'redis://:hunter2@cache:6379' },
    });
    expect(stdout).toContain('cache');
    expect(stdout).not.toContain('hunter2');
  });
});

describe('serve', () => {
  test('runs jobs of other processes and stops on SIGTERM with what runs done', async () => {
    const home = await withClient();
    const server = start(['serve'], { home });
    let stderr = '';
    server.stderr?.on('data', (data: Buffer) => (stderr += data.toString()));
    await until('ready', () => stderr.includes('Workers are ready'));
    const doctor = (await cli(['doctor', '--json'], { home })).json<
      { name: string; status: string; message: string }[]
    >();
    expect(doctor.find((f) => f.name === 'workers')).toMatchObject({
      status: 'ok',
      message: 'general 1, probe 1, render 1, mail 1',
    });
    expect((await cli(['health', 'check', 'acme-corp', '--checks', 'memory'], { home })).code).toBe(0);
    const { id } = (await cli(['health', 'check', 'acme-corp', '--no-wait', '--json'], { home })).json<{
      id: string;
    }>();
    await until(
      'running',
      async () =>
        (await cli(['job', 'show', id, '--json'], { home })).json<{ state: string }>().state !== 'queued',
    );
    server.kill('SIGTERM');
    const [code] = (await once(server, 'close')) as [number];
    expect(code).toBe(0);
    expect(['succeeded', 'queued', 'running']).toContain(
      (await cli(['job', 'show', id, '--json'], { home })).json<{ state: string }>().state,
    );
    expect((await cli(['job', 'wait', id, '--json'], { home })).json()).toMatchObject({ state: 'succeeded' });
  });

  test('a worker for probes alone has no database, and its answers reach the parent', async () => {
    const { url } = await externalRedis();
    const home = await withClient();
    const env = { MSP_REDIS_URL: url, MSP_REDIS_PREFIX: 'shared' };
    const remoteHome = await scratchHome();
    const remote = start(['worker', '--queues', 'probe'], { home: remoteHome, env });
    let stderr = '';
    remote.stderr?.on('data', (data: Buffer) => (stderr += data.toString()));
    await until('ready', () => stderr.includes('without a database'));
    const others = start(['worker', '--queues', 'general,render,mail'], { home, env });
    let ready = '';
    others.stderr?.on('data', (data: Buffer) => (ready += data.toString()));
    await until('ready', () => ready.includes('Workers are ready'));
    const { code, json } = await cli(['health', 'check', 'acme-corp', '--checks', 'cpu,memory', '--json'], {
      home,
      env,
    });
    expect(code).toBe(0);
    expect(json<{ results: unknown[] }>().results).toHaveLength(2);
    expect(existsSync(join(remoteHome, 'toolkit.db'))).toBe(false);
  });

  test('an unknown queue is refused with those there are', async () => {
    const { code, stderr } = await cli(['worker', '--queues', 'nope'], { home: await scratchHome() });
    expect(code).toBe(2);
    expect(stderr).toContain('general, probe, render, mail');
  });
});

describe('doctor', () => {
  test('finds everything in order on this machine, and says how to mend what is not', async () => {
    const { code, json } = await cli(['doctor', '--json'], { home: await scratchHome() });
    const findings = json<{ name: string; status: string; hint?: string }[]>();
    expect(findings.map((f) => f.name)).toEqual([
      'node',
      'home',
      'disk space',
      'database',
      'migrations',
      'serve',
      'redis',
      'workers',
      'browser',
      'keyring',
      'mail',
      'clock',
    ]);
    expect(findings.filter((f) => f.status === 'error')).toEqual([]);
    expect(findings.filter((f) => f.status === 'warning').every((f) => f.hint)).toBe(true);
    expect(code).toBe(0);
  });

  test('names what an external Redis could lose, also where that is allowed', async () => {
    const { url } = await externalRedis(['--appendonly', 'no', '--maxmemory-policy', 'allkeys-lru']);
    const { code, json } = await cli(['doctor', '--json'], {
      home: await scratchHome(),
      env: { MSP_REDIS_URL: url, MSP_REDIS_ALLOW_UNSAFE: 'true' },
    });
    const redis = json<{ name: string; status: string; message: string }[]>().find((f) => f.name === 'redis');
    expect(redis).toMatchObject({
      status: 'error',
      message: expect.stringMatching(/allkeys-lru.*appendonly is off/),
    });
    expect(code).toBe(1);
  });

  test('names a browser and a mail server that are not there, and goes on with the rest', async () => {
    const env = { MSP_REPORTING_BROWSER: '/nonexistent', MSP_MAIL_HOST: '127.0.0.1', MSP_MAIL_PORT: '1' };
    const { code, json } = await cli(['doctor', '--json'], { home: await scratchHome(), env });
    expect(code).toBe(1);
    const bad = json<{ name: string; status: string }[]>().filter((f) => f.status === 'error');
    expect(bad.map((f) => f.name)).toEqual(['browser', 'mail']);
  });
});

test('help has examples, the version is that of the package, and neither fails', async () => {
  const home = await scratchHome();
  const help = await cli(['--help'], { home });
  expect(help).toMatchObject({ code: 0, stdout: expect.stringContaining('Examples:') });
  expect((await cli(['health', 'check', '--help'], { home })).stdout).toContain('Examples:');
  expect((await cli(['health', 'check', '--help'], { home })).stdout).toMatch(/Global Options:[^]*--json/);
  const { version } = JSON.parse(await readFile(join(import.meta.dirname, '../../package.json'), 'utf8'));
  expect((await cli(['--version'], { home })).stdout).toBe(`${version}\n`);
});

test('demo runs the whole main job in a scratch home and ends by itself', async () => {
  const { code, json, stderr } = await cli(['demo', '--json'], { home: await scratchHome() });
  expect(stderr).toBe('');
  expect(code).toBe(0);
  const { pdf, message, figures, next } = json<{
    pdf: string;
    message: string;
    figures: { check: string }[];
    next: string[];
  }>();
  expect(readFileSync(pdf).subarray(0, 5).toString()).toBe('%PDF-');
  expect(readFileSync(message, 'utf8')).toContain('application/pdf');
  for (const check of ['cpu', 'memory', 'disk /', 'services', 'network']) {
    expect(figures.some((f) => f.check.startsWith(check))).toBe(true);
  }
  expect(next).toHaveLength(3);
});
