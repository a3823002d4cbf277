import { once } from 'node:events';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { until } from '../support/home.ts';
import { receiver } from '../support/smtp.ts';
import { clientHere, testToolkit } from '../support/toolkit.ts';

async function kill(
  worker: Awaited<ReturnType<Awaited<ReturnType<typeof testToolkit>>['workerProcess']>>,
): Promise<void> {
  worker.kill('SIGKILL');
  await once(worker, 'exit');
}

test('a worker killed in the middle of a check: the check ends once, each result is there once', async () => {
  const { toolkit, workerProcess } = await testToolkit();
  const { clientId } = await clientHere(toolkit);
  const engine = await toolkit.parts.engine();
  const first = await workerProcess();
  const { job } = await toolkit.health.check(clientId);
  // The processor is watched for a second, so there is time to strike while the probe runs.
  await until('the probe runs', async () => (await engine.queues.get('probe').getActiveCount()) === 1);
  await kill(first);
  expect(engine.get(job.id).state).toBe('running');

  await workerProcess();
  const ended = await engine.wait(job.id, { timeoutMs: 30_000 });
  expect(ended.state).toBe('succeeded');
  const rows = await toolkit.health.history(clientId);
  const things = rows.map((row) => `${row.check} ${row.instance}`);
  expect(things.length).toBeGreaterThanOrEqual(5);
  expect(new Set(things).size).toBe(things.length);
  expect(await toolkit.jobs.list({ type: 'health.check' })).toHaveLength(1);
});

test('a worker killed in the middle of a PDF: one report, one whole file, nothing half-written', async () => {
  const { home, toolkit, workerProcess } = await testToolkit();
  const { clientId } = await clientHere(toolkit);
  const engine = await toolkit.parts.engine();
  const first = await workerProcess();
  const { job } = await toolkit.reports.generate({ clientId, template: 'health-report' });
  await until('rendering', () => engine.get(job.id).progress?.message.startsWith('rendering'));
  await kill(first);
  expect(engine.get(job.id).state).toBe('running');

  await workerProcess();
  const ended = await engine.wait(job.id, { timeoutMs: 30_000 });
  expect(ended.state).toBe('succeeded');
  expect(ended.attempts).toBeGreaterThanOrEqual(2);
  const reports = await toolkit.reports.list({ clientId });
  expect(reports).toHaveLength(1);
  expect(await readdir(join(home, 'reports', clientId))).toEqual([reports[0]?.path.split('/').at(-1)]);
});

async function killedWhileMailing(whenUncertain: 'resend' | 'park') {
  let hold = true;
  const { port, messages } = await receiver({
    // The first message is taken, but its answer never reaches the worker.
    beforeAnswer: () => (hold ? new Promise(() => {}) : Promise.resolve()),
  });
  const { toolkit, workerProcess } = await testToolkit({
    mail: { host: '127.0.0.1', port, from: 'r@msp.example', whenUncertain },
  });
  const { clientId } = await clientHere(toolkit);
  const engine = await toolkit.parts.engine();
  const first = await workerProcess();
  const written = await toolkit.reports.generate({ clientId, template: 'health-report', format: 'markdown' });
  const { report } = (await engine.wait(written.job.id)).result as { report: { id: string } };
  const { job } = await toolkit.reports.send(report.id, 'it@acme.example');
  await until('the message is there', () => messages.length === 1);
  await kill(first);
  hold = false;
  await workerProcess();
  const ended = await engine.wait(job.id, { timeoutMs: 30_000 });
  const { deliveries } = await toolkit.reports.get(report.id);
  return { ended, deliveries, messages };
}

test('a worker killed in the middle of a mail: one delivery, at most one copy more, with the same Message-ID', async () => {
  const { ended, deliveries, messages } = await killedWhileMailing('resend');
  expect(ended.state).toBe('succeeded');
  expect(deliveries).toMatchObject([{ state: 'sent', tries: 2 }]);
  expect(messages).toHaveLength(2);
  expect(messages[1]?.messageId).toBe(messages[0]?.messageId);
  expect(messages[0]?.messageId).toBe(deliveries[0]?.messageId);
});

test('the same with mail.whenUncertain set to park: no copy, and a person is asked', async () => {
  const { ended, deliveries, messages } = await killedWhileMailing('park');
  expect(ended).toMatchObject({ state: 'failed', error: { code: 'MAIL_UNCERTAIN' } });
  expect(deliveries).toMatchObject([{ state: 'uncertain' }]);
  expect(messages).toHaveLength(1);
});

test('a stopped worker that comes back late: its attempt is rejected, the result is there once', async () => {
  const { toolkit, workerProcess } = await testToolkit();
  const { clientId } = await clientHere(toolkit);
  const engine = await toolkit.parts.engine();
  const first = await workerProcess();
  const { job } = await toolkit.reports.generate({ clientId, template: 'health-report' });
  await until('rendering', () => engine.get(job.id).progress?.message.startsWith('rendering'));
  first.kill('SIGSTOP');
  await workerProcess();
  const ended = await engine.wait(job.id, { timeoutMs: 30_000 });
  expect(ended.state).toBe('succeeded');
  expect(ended.attempts).toBeGreaterThanOrEqual(2);
  first.kill('SIGCONT');
  // It has been heard again once it takes jobs, and by then it has been told that it lost this one.
  await until('both workers are back', async () => (await engine.queues.workers()).render === 2);
  const later = await toolkit.health.check(clientId, { checks: ['memory'] });
  await engine.wait(later.job.id);
  expect(engine.get(job.id)).toEqual(ended);
  expect(await toolkit.reports.list({ clientId })).toHaveLength(1);
});
