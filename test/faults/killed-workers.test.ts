import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import { resultKeys } from '../support/results.ts';
import { by } from '../support/engine.ts';
import { until } from '../support/home.ts';
import { receiver } from '../support/smtp.ts';
import { testToolkit } from '../support/toolkit.ts';
import { faultTest, full, quantile } from './support/fault.ts';
import { stepNames, steps, work } from './support/jobs.ts';
import { countBy, killed, startProcess, supervised, world } from './support/world.ts';

const sixSteps = `name: six
title: Six steps
description: What every onboarding has, and the open points at its end.
steps:
  - { name: record, action: verify-record }
  - { name: discovery, action: discover-devices }
  - { name: agents, action: deploy-agents }
  - { name: baseline-check, action: baseline-check }
  - { name: activate, action: activate }
  - { name: punch-list, action: punch-list }
`;

faultTest('killedWorkers', { short: 120_000, full: 900_000 }, async ({ chance, figures }) => {
  const load = full
    ? { clients: 20, checks: 2000, onboardings: 50, reports: 100, kills: 30, everyMs: 3000 }
    : { clients: 5, checks: 60, onboardings: 5, reports: 5, kills: 5, everyMs: 1000 };
  const { port, messages } = await receiver();
  const config = {
    mail: { host: '127.0.0.1', port, from: 'r@msp.example' },
    onboarding: { templateDir: '' },
    jobs: { limits: {} },
  };
  const { home, toolkit } = await testToolkit(config);
  const templates = join(home, 'templates');
  await mkdir(templates);
  await writeFile(join(templates, 'six.yaml'), sixSteps);
  config.onboarding.templateDir = templates;
  toolkit.parts.config.onboarding.templateDir = templates;
  for (let n = 0; n < load.clients; n += 1) {
    await toolkit.clients.add({ name: `Client ${n}`, id: `c-${n}` });
    await toolkit.devices.add({ clientId: `c-${n}`, name: hostname() });
  }
  const script = join(import.meta.dirname, '../support/worker-process.ts');
  const args = [home, JSON.stringify(config), full ? 'default' : 'fast'];
  const workers = await supervised(3, () => startProcess(script, args));
  const engine = await toolkit.parts.engine();
  const client = (n: number) => `c-${n % load.clients}`;

  const acknowledged: string[] = [];
  const submitting = (async () => {
    for (let n = 0; n < load.checks; n += 1) {
      const { job } = await toolkit.health.check(client(n), { checks: ['memory'] });
      acknowledged.push(job.id);
      if (n < load.onboardings) acknowledged.push((await toolkit.clients.onboard(client(n), 'six')).job.id);
      if (n < load.reports) {
        const wish = { clientId: client(n), template: 'health-report', email: `it-${n}@acme.example` };
        const format = n % 2 === 0 ? 'pdf' : 'markdown';
        acknowledged.push((await toolkit.reports.generate({ ...wish, format })).job.id);
      }
    }
  })();
  const kills = new Map<string, number>();
  for (let n = 0; n < load.kills; n += 1) {
    await new Promise((resolve) => setTimeout(resolve, load.everyMs));
    const name = workers.kill(chance);
    if (name) kills.set(name, Date.now());
  }
  await submitting;
  const finished = () => engine.list({ limit: -1 }).every((job) => job.finishedAt !== null);
  await until('every job has ended', finished, full ? 600_000 : 60_000);

  const jobs = engine.list({ limit: -1 });
  const byId = new Map(jobs.map((job) => [job.id, job]));
  figures['acknowledged jobs'] = acknowledged.length;
  figures['lost'] = acknowledged.filter((id) => byId.get(id)?.state !== 'succeeded').length;
  figures['kills'] = kills.size;
  const rescues: number[] = [];
  for (const { id } of jobs) {
    const attempts = engine.attempts(id);
    attempts.forEach((attempt, index) => {
      const at = attempt.outcome === 'crashed' ? kills.get(attempt.worker) : undefined;
      const next = attempts[index + 1];
      if (at !== undefined && next) rescues.push(Date.parse(next.startedAt) - at);
    });
  }
  figures['attempts cut short'] = rescues.length;
  figures['rescue p50 s'] = quantile(rescues, 0.5) / 1000;
  figures['rescue max s'] = Math.max(0, ...rescues) / 1000;
  expect(figures['lost']).toBe(0);
  expect(jobs.filter((job) => job.state !== 'succeeded')).toEqual([]);

  // One result row for each thing that a run measured, one report and one file for each report job.
  const checks = jobs.filter((job) => job.type === 'health.check' || job.type === 'client.onboard');
  const perJob = countBy(resultKeys(toolkit.parts.storage));
  expect([...perJob.values()].filter((count) => count > 1)).toEqual([]);
  const measured = new Set([...perJob.keys()].map((key) => key.split(' ')[0]));
  expect(checks.filter((job) => !measured.has(job.id))).toEqual([]);
  const reports = await toolkit.reports.list({ limit: 1000 });
  expect(reports).toHaveLength(load.reports);
  const files = await readdir(join(home, 'reports'), { recursive: true });
  expect(files.filter((file) => /\.(pdf|md)$/.test(file))).toHaveLength(load.reports);
  for (const job of jobs.filter(({ type }) => type === 'client.onboard')) {
    expect(engine.steps(job.id).map(({ status }) => status === 'done' || status === 'skipped')).toEqual(
      Array.from({ length: 6 }, () => true),
    );
  }
  const activations = countBy(toolkit.parts.storage.read.auditActors('client.activate'));
  expect(activations.size).toBe(load.onboardings);
  expect([...activations.values()].every((count) => count === 1)).toBe(true);

  const copies = countBy(messages.map((message) => message.messageId ?? ''));
  figures['mails'] = copies.size;
  figures['mails that came twice'] = [...copies.values()].filter((count) => count > 1).length;
  expect(copies.size).toBe(load.reports);
  if (full) expect(figures['rescue max s']).toBeLessThanOrEqual(20);
});

faultTest('killedSteps', { short: 90_000, full: 600_000 }, async ({ figures }) => {
  const { engine, history, storage, worker, effects } = await world();
  await supervised(2, () => worker('fast'));
  const places = stepNames.flatMap((name) => [`in ${name}`, `after ${name}`]);
  const chosen = full ? Array.from({ length: 5 }, () => places).flat() : places;
  for (const dieAt of chosen) {
    const { id } = await engine.submit(steps, { history: history.file, dieAt }, by);
    // One after the other: a killed process takes the other jobs that it runs along.
    expect(await engine.wait(id, { timeoutMs: 60_000 })).toMatchObject({ state: 'succeeded' });
  }
  const jobs = engine.list({ limit: -1 });
  const bodies = countBy(history.all('body').map(({ id }) => id));
  const ranAgain = [...bodies].filter(([, count]) => count > 1).map(([key]) => key);
  figures['kills'] = jobs.filter(({ id }) => engine.attempts(id).some((a) => a.outcome === 'crashed')).length;
  figures['steps run'] = jobs.length * stepNames.length;
  figures['uncommitted steps run again'] = ranAgain.length;
  expect(figures['kills']).toBe(chosen.length);
  for (const name of stepNames) {
    const counts = effects(`step ${name}`);
    expect([...counts.values()]).toEqual(jobs.map(() => 1));
  }
  // Only a step that was killed before its commit has had its body run twice.
  const killedInside = jobs.map(({ id, payload }) => `${id} ${(payload as { dieAt: string }).dieAt}`);
  const expected = killedInside.filter((key) => key.includes(' in ')).map((key) => key.replace(' in ', ' '));
  expect(ranAgain.sort()).toEqual(expected.sort());
  expect(storage.read.countJobs()).toEqual({ succeeded: jobs.length });
});

faultTest('killedSubmitters', { short: 90_000, full: 300_000 }, async ({ chance, figures }) => {
  const { home, engine, history, worker, effects } = await world();
  await worker('fast');
  const kills = full ? 50 : 6;
  for (let n = 0; n < kills; n += 1) {
    const script = join(import.meta.dirname, 'support/submitter.ts');
    const before = history.all('ack').length;
    const submitter = await startProcess(script, [home, history.file]);
    // Every other one has got as far as being acknowledged, however slow the machine is.
    if (n % 2 === 0) await until('a job is acknowledged', () => history.all('ack').length > before);
    await new Promise((resolve) => setTimeout(resolve, 20 + chance.below(150)));
    await killed(submitter);
  }
  const jobs = () => engine.list({ limit: -1 });
  await until('every job has ended', () => jobs().every((job) => job.finishedAt !== null), 120_000);
  const counts = effects();
  const acknowledged = history.all('ack').map(({ id }) => id);
  figures['kills'] = kills;
  figures['acknowledged'] = acknowledged.length;
  figures['accepted, but killed before the acknowledgement'] = jobs().length - acknowledged.length;
  figures['lost'] = acknowledged.filter((id) => !counts.has(id)).length;
  figures['handed over twice with effect'] = [...counts.values()].filter((count) => count > 1).length;
  expect(acknowledged.length).toBeGreaterThanOrEqual(kills / 2);
  expect(figures).toMatchObject({ lost: 0, 'handed over twice with effect': 0 });
  expect(counts.size).toBe(jobs().length);
});

faultTest('stoppedWorker', { short: 60_000, full: 300_000 }, async ({ figures }) => {
  const { engine, worker, effects } = await world();
  const lockMs = full ? 10_000 : 1000;
  const rounds = full ? 5 : 2;
  for (let round = 0; round < rounds; round += 1) {
    const first = await worker();
    const jobs = await Promise.all(
      Array.from({ length: 5 }, () => engine.submit(work, { ms: lockMs / 2 }, by)),
    );
    await until('all run', () => jobs.every(({ id }) => engine.get(id).state === 'running'));
    first.kill('SIGSTOP');
    const second = await worker();
    const ended = await Promise.all(jobs.map(({ id }) => engine.wait(id, { timeoutMs: lockMs * 8 })));
    expect(ended.every(({ state }) => state === 'succeeded')).toBe(true);
    first.kill('SIGCONT');
    // It says so itself: the attempt that was believed crashed turns out to have been replaced.
    await until('the stale attempts are rejected', () =>
      jobs.every(({ id }) => engine.attempts(id)[0]?.outcome === 'replaced'),
    );
    expect(jobs.map(({ id }) => engine.get(id))).toEqual(ended);
    await killed(first);
    await killed(second);
  }
  const counts = [...effects().values()];
  figures['jobs'] = counts.length;
  figures['stale attempts rejected'] = counts.length;
  figures['results a job'] = Math.max(...counts);
  expect(counts).toEqual(Array.from({ length: rounds * 5 }, () => 1));
});
