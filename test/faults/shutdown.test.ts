import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished } from 'vitest';
import { resultKeys } from '../support/results.ts';
import { until } from '../support/home.ts';
import { testToolkit } from '../support/toolkit.ts';
import { faultTest, full } from './support/fault.ts';
import { countBy } from './support/world.ts';

const main = join(import.meta.dirname, '../../src/entry/main.ts');

/** serve gives its jobs 20 s and four more to those that obey late, in s. */
const deadline = 25;

faultTest('stopUnderLoad', { short: 120_000, full: 400_000 }, async ({ figures }) => {
  const { home, toolkit } = await testToolkit();
  const { storage } = toolkit.parts;
  await toolkit.clients.add({ name: 'Acme', id: 'acme' });
  await toolkit.devices.add({ clientId: 'acme', name: hostname() });
  /** In a group of its own, as a shell starts it. */
  async function serve(): Promise<ChildProcess> {
    const child = spawn(process.execPath, [main, 'serve'], {
      env: { PATH: process.env['PATH'], HOME: home, MSP_HOME: home },
      stdio: ['ignore', 'ignore', 'pipe'],
      detached: true,
    });
    onTestFinished(() => void child.kill('SIGKILL'));
    let said = '';
    child.stderr?.on('data', (data: Buffer) => (said += data.toString()));
    await until('serve runs', () => said.includes('Running the queues'));
    return child;
  }
  const rounds = full ? 6 : 2;
  const times: number[] = [];
  const checks = full ? 120 : 30;
  for (let round = 0; round < rounds; round += 1) {
    const child = await serve();
    await Promise.all(
      Array.from({ length: checks }, () => toolkit.health.check('acme', { checks: ['cpu', 'memory'] })),
    );
    await toolkit.reports.generate({ clientId: 'acme', template: 'health-report' });
    await until('it works', () => (storage.read.countJobs()['running'] ?? 0) > 0);
    const began = performance.now();
    const how = round % 2 === 0 ? 'SIGTERM' : 'SIGINT';
    if (how === 'SIGTERM') child.kill('SIGTERM');
    else process.kill(-(child.pid ?? 0), 'SIGINT');
    const [code, signal] = (await once(child, 'exit')) as [number | null, string | null];
    expect([code, signal]).toEqual([0, null]);
    times.push((performance.now() - began) / 1000);
  }
  figures['jobs unfinished after'] = Object.entries(storage.read.countJobs())
    .filter(([state]) => state !== 'succeeded')
    .reduce((sum, [, count]) => sum + count, 0);
  const last = await serve();
  await until(
    'all have succeeded',
    () => Object.keys(storage.read.countJobs()).join() === 'succeeded',
    180_000,
  );
  last.kill('SIGTERM');
  await once(last, 'exit');
  figures['stops'] = rounds;
  figures['longest stop s'] = Math.max(...times);
  figures['jobs'] = rounds * (checks + 1);
  const results = countBy(resultKeys(storage));
  figures['results that are there twice'] = [...results.values()].filter((count) => count > 1).length;
  expect(Math.max(...times)).toBeLessThan(deadline);
  expect(results.size).toBe(rounds * checks * 2);
  expect(await toolkit.reports.list({ clientId: 'acme', limit: 100 })).toHaveLength(rounds);
  expect(figures['results that are there twice']).toBe(0);
  // Neither a stop nor an interruption is a failed try.
  const jobs = await toolkit.jobs.list({ limit: 10_000 });
  expect(jobs.filter(({ attempts }) => attempts > 1)).toEqual([]);
});
