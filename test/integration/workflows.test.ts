import { execFileSync } from 'node:child_process';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { scratchHome, until } from '../support/home.ts';
import { mayMount, mountOver } from '../support/mount.ts';
import { readPdf } from '../support/pdf.ts';
import { measured, recordMeasured } from '../support/results.ts';
import { receiver } from '../support/smtp.ts';
import { clientHere, testToolkit } from '../support/toolkit.ts';

function ownBrowsers(): number[] {
  return execFileSync('ps', ['-eo', 'pid,ppid,comm'], { encoding: 'utf8' })
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .filter(([, ppid, comm]) => ppid === String(process.pid) && comm?.startsWith('chrom'))
    .map(([pid]) => Number(pid));
}

describe('a health check', () => {
  test('measures this host, leaves the other device unknown, and records all of it', async () => {
    const { toolkit } = await testToolkit();
    const { clientId, deviceId } = await clientHere(toolkit);
    const other = await toolkit.devices.add({ clientId, name: 'somewhere-else' });
    const result = await (await toolkit.health.check(clientId)).result();
    const mine = result.results.filter((r) => r.deviceId === deviceId);
    expect(new Set(mine.map((r) => r.check))).toEqual(
      new Set(['cpu', 'memory', 'disk', 'services', 'network']),
    );
    expect(mine.find((r) => r.check === 'cpu')).toMatchObject({
      unit: '%',
      thresholds: { warning: 85, critical: 95 },
      value: expect.any(Number),
    });
    const theirs = result.results.filter((r) => r.deviceId === other.id);
    expect(theirs).toHaveLength(5);
    expect(theirs.every((r) => r.status === 'unknown' && r.message.includes('not this host'))).toBe(true);
    expect(result.summary.total).toBe(result.results.length);
    expect(await toolkit.health.history(clientId)).toHaveLength(result.results.length);
    expect((await toolkit.devices.get(deviceId)).lastSeen).not.toBeNull();
    expect((await toolkit.devices.get(other.id)).lastSeen).toBeNull();
  });

  test('judges by the configured thresholds', async () => {
    const thresholds = { memory: { warning: 0, critical: 100 }, disk: { warning: 0, critical: 0 } };
    const { toolkit } = await testToolkit({ healthChecks: { thresholds } });
    const { clientId } = await clientHere(toolkit);
    const { status, results } = await (
      await toolkit.health.check(clientId, { checks: ['memory', 'disk'] })
    ).result();
    expect(results.find((r) => r.check === 'memory')?.status).toBe('warning');
    expect(results.filter((r) => r.check === 'disk').every((r) => r.status === 'critical')).toBe(true);
    expect(status).toBe('critical');
    expect(await toolkit.health.status()).toMatchObject([{ clientId, status: 'critical' }]);
  });

  test('of a client without devices is unknown, not healthy', async () => {
    const { toolkit } = await testToolkit();
    await toolkit.clients.add({ name: 'Empty' });
    const result = await (await toolkit.health.check('empty')).result();
    expect(result).toMatchObject({ status: 'unknown', summary: { total: 0 }, results: [] });
  });

  test('of an unknown client is refused before a job is made', async () => {
    const { toolkit } = await testToolkit();
    await expect(toolkit.health.check('nobody')).rejects.toMatchObject({ code: 'CLIENT_NOT_FOUND' });
    expect(await toolkit.jobs.list()).toEqual([]);
  });

  test('fans out in batches and answers for every device', async () => {
    const { toolkit } = await testToolkit({ healthChecks: { probeBatch: 3 } });
    const { clientId } = await clientHere(toolkit);
    for (let i = 0; i < 10; i += 1) await toolkit.devices.add({ clientId, name: `pc-${i}` });
    const { results } = await (await toolkit.health.check(clientId, { checks: ['cpu', 'memory'] })).result();
    expect(new Set(results.map((r) => r.deviceId)).size).toBe(11);
    expect(results).toHaveLength(22);
  });
});

test('a device can not take the name of another one', async () => {
  const { toolkit } = await testToolkit();
  const { clientId, deviceId } = await clientHere(toolkit);
  await toolkit.devices.add({ clientId, name: 'other' });
  await expect(toolkit.devices.update(deviceId, { name: 'other' })).rejects.toMatchObject({
    code: 'DEVICE_EXISTS',
  });
  expect((await toolkit.devices.update(deviceId, { name: 'new-name' })).name).toBe('new-name');
});

describe('onboarding', () => {
  test('by the basic template really does each step, or says why not', async () => {
    const { toolkit } = await testToolkit();
    const { clientId, deviceId } = await clientHere(toolkit);
    const { steps } = await (await toolkit.clients.onboard(clientId, 'basic')).result();
    expect(steps.map((s) => [s.name, s.status])).toEqual([
      ['record', 'done'],
      ['discovery', 'done'],
      ['agents', 'skipped'],
      ['baseline-check', 'done'],
      ['activate', 'done'],
    ]);
    expect(steps.find((s) => s.name === 'agents')?.evidence['reason']).toContain('no RMM');
    // The processor is watched for a second: a step that waits for its probes shows the time it really took.
    const check = steps.find((s) => s.name === 'baseline-check');
    expect(Date.parse(check?.finishedAt ?? '') - Date.parse(check?.startedAt ?? '')).toBeGreaterThanOrEqual(
      1000,
    );
    expect((await toolkit.clients.get(clientId)).status).toBe('active');
    expect((await toolkit.devices.get(deviceId)).metadata['facts']).toMatchObject({
      system: expect.any(String),
      cores: expect.any(Number),
    });
    expect((await toolkit.health.history(clientId)).length).toBeGreaterThanOrEqual(5);
  });

  test('by the enterprise template writes a report and ends with what is still open', async () => {
    const { toolkit } = await testToolkit();
    const { clientId } = await clientHere(toolkit);
    const { steps } = await (await toolkit.clients.onboard(clientId, 'enterprise')).result();
    const evidence = Object.fromEntries(steps.map((s) => [s.name, s.evidence]));
    expect(evidence['sign-off']).toMatchObject({
      open: [{ step: 'agents' }, { step: 'security' }, { step: 'backup' }],
    });
    const [report] = await toolkit.reports.list({ clientId });
    expect(evidence['baseline-report']).toEqual({
      report: report?.id,
      path: report?.path,
      bytes: report?.bytes,
    });
    expect(await toolkit.reports.list({ clientId })).toHaveLength(1);
  });

  test('takes templates from a folder of the company', async () => {
    const templateDir = await scratchHome();
    await writeFile(
      join(templateDir, 'ours.yaml'),
      'name: ours\ntitle: O\ndescription: D\nsteps:\n  - { name: only, action: activate }\n',
    );
    const { toolkit } = await testToolkit({ onboarding: { templateDir } });
    const { clientId } = await clientHere(toolkit);
    const { steps } = await (await toolkit.clients.onboard(clientId, 'ours')).result();
    expect(steps).toMatchObject([{ name: 'only', status: 'done' }]);
  });

  test.each([
    ['missing', undefined, 'TEMPLATE_NOT_FOUND'],
    ['broken', 'name: broken\nsteps: [', 'TEMPLATE_INVALID'],
  ])('a %s template is refused before a job is made', async (name, text, code) => {
    const templateDir = await scratchHome();
    if (text) await writeFile(join(templateDir, `${name}.yaml`), text);
    const { toolkit } = await testToolkit({ onboarding: { templateDir } });
    const { clientId } = await clientHere(toolkit);
    await expect(toolkit.clients.onboard(clientId, name)).rejects.toMatchObject({ code });
    expect(await toolkit.jobs.list()).toEqual([]);
  });

  test.each(['../../etc/passwd', 'a/b', ''])('the template name %j reaches no other folder', async (name) => {
    const { toolkit } = await testToolkit();
    const { clientId } = await clientHere(toolkit);
    await expect(toolkit.clients.onboard(clientId, name)).rejects.toMatchObject({
      code: 'TEMPLATE_NOT_FOUND',
    });
  });

  test('a template with an action that does not exist is refused before a job is made, with its place', async () => {
    const templateDir = await scratchHome();
    await writeFile(
      join(templateDir, 'odd.yaml'),
      'name: odd\ntitle: O\ndescription: D\nsteps:\n  - { name: a, action: fly }\n',
    );
    const { toolkit } = await testToolkit({ onboarding: { templateDir } });
    const { clientId } = await clientHere(toolkit);
    await expect(toolkit.clients.onboard(clientId, 'odd')).rejects.toMatchObject({
      code: 'TEMPLATE_INVALID',
      message: expect.stringContaining('steps.0.action'),
    });
    expect(await toolkit.jobs.list()).toEqual([]);
  });
});

describe('a report', () => {
  test.each(['monthly-summary', 'health-report', 'sla-compliance', 'incident-summary'])(
    '%s is written as PDF, HTML and Markdown, from recorded rows alone',
    async (template) => {
      const { toolkit } = await testToolkit();
      const { clientId } = await clientHere(toolkit);
      await (await toolkit.health.check(clientId)).result();
      const generate = async (format: 'pdf' | 'html' | 'markdown') =>
        (await (await toolkit.reports.generate({ clientId, template, format })).result()).report;

      const pdf = await readPdf((await generate('pdf')).path);
      expect(pdf.text).toContain('Acme Corp');
      expect(pdf.text).toMatch(/Page 1 of \d/);
      const html = await readFile((await generate('html')).path, 'utf8');
      expect(html).toContain('<h1>Acme Corp</h1>');
      expect(html).not.toMatch(/<script|<link|src=|href="http/);
      const markdown = await readFile((await generate('markdown')).path, 'utf8');
      expect(markdown).toContain('# Acme Corp');
      expect(markdown).not.toContain('<svg');
    },
  );

  test('in PDF has selectable text, charts as vectors, and a table of results', async () => {
    const { toolkit } = await testToolkit();
    const { clientId } = await clientHere(toolkit);
    for (let i = 0; i < 2; i += 1) await (await toolkit.health.check(clientId)).result();
    const { report } = await (await toolkit.reports.generate({ clientId })).result();
    const pdf = await readPdf(report.path);
    expect(pdf.text).toContain('Health at a glance');
    expect(pdf.text).toContain('memory');
    expect(pdf.paths).toBeGreaterThan(20);
    expect(pdf.images).toBe(0);
    expect(report.bytes).toBe((await readFile(report.path)).byteLength);
  });

  test.each(['pdf', 'html', 'markdown'] as const)(
    'without any recorded row says "no data" in %s, never healthy',
    async (format) => {
      const { toolkit } = await testToolkit();
      await toolkit.clients.add({ name: 'New' });
      const { report } = await (await toolkit.reports.generate({ clientId: 'new', format })).result();
      const text = format === 'pdf' ? (await readPdf(report.path)).text : await readFile(report.path, 'utf8');
      expect(text.toLowerCase()).toContain('no data');
      expect(text).toContain('unknown');
      expect(text).not.toMatch(/class="card healthy"|Overall: \*\*healthy/);
    },
  );

  test('escapes what comes from devices', async () => {
    const { toolkit } = await testToolkit();
    const { clientId, deviceId } = await clientHere(toolkit);
    await recordMeasured(toolkit.parts.storage, clientId, {
      [deviceId]: [
        measured(new Date().toISOString(), {
          check: 'services',
          status: 'critical',
          message: '<img src=x onerror=alert(1)>',
        }),
      ],
    });
    const { report } = await (await toolkit.reports.generate({ clientId, format: 'html' })).result();
    const html = await readFile(report.path, 'utf8');
    expect(html).toContain('&lt;img src=x');
    expect(html).not.toContain('<img');
  });

  test('is mailed with the file attached, and to each recipient once', async () => {
    const { port, messages } = await receiver();
    const { toolkit } = await testToolkit({ mail: { host: '127.0.0.1', port, from: 'MSP <r@msp.example>' } });
    const { clientId } = await clientHere(toolkit);
    const result = await (await toolkit.reports.generate({ clientId, email: 'it@acme.example' })).result();
    expect((await toolkit.jobs.wait(result.sendJobId ?? '')).state).toBe('succeeded');
    expect(messages).toHaveLength(1);
    const [attachment] = messages[0]?.attachments ?? [];
    expect(attachment).toMatchObject({ mimeType: 'application/pdf' });
    expect(Buffer.from(attachment?.content as ArrayBuffer)).toEqual(await readFile(result.report.path));

    const again = await (await toolkit.reports.send(result.report.id, 'it@acme.example')).result();
    expect(again).toMatchObject({ state: 'sent', tries: 1 });
    expect(messages).toHaveLength(1);
  });

  test('asked for twice at once is mailed once', async () => {
    let answer = () => {};
    const answered = new Promise<void>((resolve) => {
      answer = resolve;
    });
    const { port, messages } = await receiver({ beforeAnswer: () => answered });
    const { toolkit } = await testToolkit({ mail: { host: '127.0.0.1', port, from: 'r@msp.example' } });
    const { clientId } = await clientHere(toolkit);
    const { report } = await (await toolkit.reports.generate({ clientId, format: 'markdown' })).result();
    const both = await Promise.all([1, 2].map(() => toolkit.reports.send(report.id, 'it@acme.example')));
    const engine = await toolkit.parts.engine();
    await expect
      .poll(() => both.some((s) => engine.get(s.job.id).error?.code === 'BUSY'), { timeout: 10_000 })
      .toBe(true);
    answer();
    await Promise.all(both.map((s) => s.result()));
    expect(messages).toHaveLength(1);
  });

  test('is kept while the mail server is away, and the mail goes out once it is back', async () => {
    const { port, messages } = await receiver();
    const config = { mail: { host: '127.0.0.1', port: 1, from: 'r@msp.example' } };
    const { toolkit } = await testToolkit(config);
    const { clientId } = await clientHere(toolkit);
    const { report } = await (await toolkit.reports.generate({ clientId, format: 'html' })).result();
    const { job } = await toolkit.reports.send(report.id, 'it@acme.example');
    const engine = await toolkit.parts.engine();
    await expect.poll(() => engine.get(job.id).error?.code, { timeout: 10_000 }).toBe('MAIL_UNAVAILABLE');
    expect((await toolkit.reports.get(report.id)).deliveries).toMatchObject([{ state: 'pending' }]);
    await engine.cancel(job.id, 'test');
    expect(messages).toEqual([]);
    expect(port).toBeGreaterThan(0);
  });

  test('whose mail is given up says so in its delivery', async () => {
    const { toolkit } = await testToolkit({ mail: { host: '127.0.0.1', port: 1, from: 'r@msp.example' } });
    const { clientId } = await clientHere(toolkit);
    await toolkit.startWorkers();
    const wish = { clientId, template: 'health-report', format: 'markdown' } as const;
    const { report } = await (await toolkit.reports.generate(wish)).result();
    const { job } = await toolkit.reports.send(report.id, 'it@acme.example');
    await until('its first try has failed', async () => (await toolkit.jobs.get(job.id)).error !== null);
    expect((await toolkit.reports.get(report.id)).deliveries).toMatchObject([{ state: 'pending' }]);
    await toolkit.jobs.cancel(job.id);
    expect((await toolkit.reports.get(report.id)).deliveries).toMatchObject([{ state: 'failed' }]);
  });

  test('keeps to what the mail server takes in a minute', async () => {
    const { port, messages } = await receiver();
    const mail = { host: '127.0.0.1', port, from: 'r@msp.example', perMinute: 60 };
    const { toolkit } = await testToolkit({ mail });
    const { clientId } = await clientHere(toolkit);
    await toolkit.startWorkers();
    const wish = { clientId, template: 'health-report', format: 'markdown' } as const;
    const { report } = await (await toolkit.reports.generate(wish)).result();
    const sent = await Promise.all(
      ['a', 'b', 'c'].map((name) => toolkit.reports.send(report.id, `${name}@acme.example`)),
    );
    const times = await Promise.all(
      sent.map(async (started) => Date.parse((await started.result()).sentAt ?? '')),
    );
    expect(messages).toHaveLength(3);
    expect(Math.max(...times) - Math.min(...times)).toBeGreaterThanOrEqual(1900);
  });

  test('to be mailed without a mail server is refused before a job is made', async () => {
    const { toolkit } = await testToolkit();
    const { clientId } = await clientHere(toolkit);
    await expect(toolkit.reports.generate({ clientId, email: 'a@b.example' })).rejects.toMatchObject({
      code: 'MAIL_NOT_CONFIGURED',
    });
    expect(await toolkit.jobs.list()).toEqual([]);
  });

  test('by a template that does not exist fails once and names those there are', async () => {
    const { toolkit } = await testToolkit();
    const { clientId } = await clientHere(toolkit);
    const started = await toolkit.reports.generate({ clientId, template: 'nope', format: 'html' });
    await expect(started.result()).rejects.toMatchObject({
      code: 'TEMPLATE_NOT_FOUND',
      hint: expect.stringContaining('monthly-summary'),
    });
  });

  test('by a template of the company needs one file', async () => {
    const templateDir = await scratchHome();
    await writeFile(join(templateDir, 'letter.njk'), '<h1>Dear {{ client.name }}</h1>');
    const { toolkit } = await testToolkit({ reporting: { templateDir } });
    const { clientId } = await clientHere(toolkit);
    expect(await toolkit.reports.templates()).toContain('letter');
    const { report } = await (
      await toolkit.reports.generate({ clientId, template: 'letter', format: 'markdown' })
    ).result();
    expect(await readFile(report.path, 'utf8')).toBe('# Dear Acme Corp\n');
  });

  test('without a browser fails with the command that installs one, and leaves nothing behind', async () => {
    const { home, toolkit } = await testToolkit({ reporting: { browser: '/nonexistent/chromium' } });
    const { clientId } = await clientHere(toolkit);
    const started = await toolkit.reports.generate({ clientId });
    await expect(started.result()).rejects.toMatchObject({
      code: 'BROWSER_MISSING',
      details: { path: '/nonexistent/chromium' },
    });
    await expect(readdir(join(home, 'reports'))).rejects.toThrow('ENOENT');
    expect(await toolkit.reports.list()).toEqual([]);
  });

  test.skipIf(!mayMount)(
    'that does not fit on the disk leaves no half file, and is written once there is room',
    async () => {
      const outputDir = await scratchHome();
      const disk = mountOver(outputDir, 'size=48k');
      const { toolkit } = await testToolkit({ reporting: { outputDir } });
      const { clientId } = await clientHere(toolkit);
      await (await toolkit.health.check(clientId)).result();
      const started = await toolkit.reports.generate({ clientId });
      await toolkit.startWorkers();
      const engine = await toolkit.parts.engine();
      await expect.poll(() => engine.get(started.job.id).error?.code, { timeout: 20_000 }).toBe('DISK_FULL');
      expect(await readdir(join(outputDir, clientId))).toEqual([]);
      expect(await toolkit.reports.list()).toEqual([]);
      disk.remount('size=4m');
      const { report } = await started.result();
      expect(await readdir(join(outputDir, clientId))).toEqual([report.path.split('/').at(-1)]);
      expect((await readPdf(report.path)).text).toContain('Acme Corp');
    },
  );

  test.skipIf(!mayMount)(
    'asked for while the database has no room is not accepted, and works once there is',
    async () => {
      const folder = await scratchHome();
      const disk = mountOver(folder, 'size=800k');
      const { toolkit } = await testToolkit({ database: { path: join(folder, 'toolkit.db') } });
      const { clientId } = await clientHere(toolkit);
      const fill = async () => {
        for (let n = 0; n < 5000; n += 1) {
          await toolkit.parts.storage.write((tx) =>
            tx.addAudit({ at: '', actor: 'x'.repeat(2000), action: '', subject: '', details: {} }),
          );
        }
      };
      await expect(fill()).rejects.toMatchObject({ code: 'DISK_FULL' });
      await expect(toolkit.health.check(clientId)).rejects.toMatchObject({ code: 'DISK_FULL' });
      expect(await toolkit.jobs.list()).toEqual([]);
      disk.remount('size=40m');
      expect((await (await toolkit.health.check(clientId)).result()).results.length).toBeGreaterThan(0);
    },
  );

  test('fifty PDFs and more in a row leave no browser behind', async () => {
    const { toolkit } = await testToolkit();
    const { clientId } = await clientHere(toolkit);
    const started = await Promise.all(
      Array.from({ length: 60 }, () => toolkit.reports.generate({ clientId, template: 'incident-summary' })),
    );
    const reports = await Promise.all(started.map((s) => s.result()));
    expect(new Set(reports.map((r) => r.report.path)).size).toBe(60);
    // Browsers that this process started, with what they left: a zombie is still listed.
    const browsers = () => ownBrowsers().length;
    expect(browsers()).toBeLessThanOrEqual(1);
    await toolkit.close();
    expect(browsers()).toBe(0);
  });
});

test('a browser that is killed in the middle is replaced and the report is written', async () => {
  const { toolkit } = await testToolkit();
  const { clientId } = await clientHere(toolkit);
  await (await toolkit.reports.generate({ clientId })).result();
  const started = await toolkit.reports.generate({ clientId });
  const own = ownBrowsers();
  expect(own.length).toBeGreaterThan(0);
  for (const pid of own) process.kill(pid, 'SIGKILL');
  expect((await started.result()).report.bytes).toBeGreaterThan(1000);
});

test('a browser that hangs does not hold up a cancel, the next report, or the end', async () => {
  const { toolkit } = await testToolkit();
  const { clientId } = await clientHere(toolkit);
  await (await toolkit.reports.generate({ clientId })).result();
  const [hung] = ownBrowsers();
  process.kill(hung ?? 0, 'SIGSTOP');
  const stuck = await toolkit.reports.generate({ clientId });
  await expect
    .poll(async () => (await toolkit.jobs.get(stuck.job.id)).progress?.percent, { timeout: 10_000 })
    .toBe(30);
  await toolkit.jobs.cancel(stuck.job.id);
  expect((await stuck.done()).state).toBe('cancelled');
  expect((await (await toolkit.reports.generate({ clientId })).result()).report.bytes).toBeGreaterThan(1000);
  await toolkit.close();
  expect(ownBrowsers()).toEqual([]);
});

test('workers that were closed by hand are replaced when they are needed', async () => {
  const { toolkit } = await testToolkit();
  const { clientId } = await clientHere(toolkit);
  await (await toolkit.startWorkers()).close(1000);
  const { summary } = await (await toolkit.health.check(clientId, { checks: ['memory'] })).result();
  expect(summary.total).toBe(1);
});

test('a home that can not be used says so', async () => {
  const { openToolkit } = await import('../../src/entry/toolkit.ts');
  const parent = await scratchHome();
  await writeFile(join(parent, 'file'), '');
  await expect(openToolkit({ home: join(parent, 'file') })).rejects.toMatchObject({
    code: 'HOME_UNUSABLE',
    kind: 'usage',
  });
});
