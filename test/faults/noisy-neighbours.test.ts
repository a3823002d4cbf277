import { expect } from 'vitest';
import type { Job } from '../../src/domain/job.ts';
import { by } from '../support/engine.ts';
import { until } from '../support/home.ts';
import { faultTest, full, quantile } from './support/fault.ts';
import { poison, work } from './support/jobs.ts';
import { supervised, world } from './support/world.ts';

const latencies = (jobs: readonly Job[]) =>
  jobs.map(({ createdAt, finishedAt }) => Date.parse(finishedAt ?? '') - Date.parse(createdAt));

faultTest('poison', { short: 150_000, full: 600_000 }, async ({ figures }) => {
  const { engine, worker, effects } = await world();
  await supervised(2, () => worker());
  /** Jobs that come one after the other, evenly, from 20 clients; answers with their p95. */
  async function steady(until_: () => boolean, atLeast: number): Promise<number> {
    const ids: string[] = [];
    while (ids.length < atLeast || !until_()) {
      ids.push((await engine.submit(work, { clientId: `c-${ids.length % 20}`, ms: 100 }, by)).id);
      await new Promise((resolve) => setTimeout(resolve, 30));
    }
    const jobs = await Promise.all(ids.map((id) => engine.wait(id, { timeoutMs: 60_000 })));
    expect(jobs.filter(({ state }) => state !== 'succeeded')).toEqual([]);
    return quantile(latencies(jobs), 0.95);
  }
  const idle = await steady(() => true, full ? 600 : 100);
  const { id } = await engine.submit(poison, {}, by);
  const withPoison = await steady(() => engine.get(id).state === 'dead', full ? 600 : 100);
  const ended = engine.get(id);
  expect(ended).toMatchObject({ state: 'dead', error: { code: 'JOB_CRASH_LIMIT' } });
  const crashes = engine.attempts(id).filter(({ outcome }) => outcome === 'crashed').length;
  figures['starts before it was dead'] = crashes;
  figures['p95 without ms'] = idle;
  figures['p95 with ms'] = withPoison;
  figures['ratio'] = Math.round((withPoison / idle) * 100) / 100;
  figures['done twice'] = [...effects().values()].filter((count) => count > 1).length;
  expect(crashes).toBe(12);
  expect(figures['done twice']).toBe(0);
  if (full) expect(withPoison / idle).toBeLessThanOrEqual(2);
});

faultTest('noisyClient', { short: 120_000, full: 300_000 }, async ({ figures }) => {
  const { engine, worker, storage } = await world();
  await worker();
  const ms = 100;
  async function five(): Promise<number> {
    const jobs = await Promise.all(
      Array.from({ length: 5 }, () => engine.submit(work, { clientId: 'b', ms }, by)),
    );
    const ended = await Promise.all(jobs.map(({ id }) => engine.wait(id)));
    return quantile(latencies(ended), 0.95);
  }
  const rounds = full ? 10 : 3;
  const measure = async () => {
    const all: number[] = [];
    for (let round = 0; round < rounds; round += 1) all.push(await five());
    return quantile(all, 0.95);
  };
  await five();
  const idle = await measure();
  const flood = full ? 5000 : 1000;
  await storage.write((tx) => {
    for (let n = 0; n < flood; n += 1) engine.insert(tx, work, { clientId: 'a', n, ms }, by);
  });
  engine.relay.kick();
  await until("A's are running", () => engine.list({ state: 'running', clientId: 'a' }).length >= 5);
  const beside = await measure();
  figures["A's jobs"] = flood;
  figures["A's jobs still waiting after"] = engine.list({
    state: 'pending',
    clientId: 'a',
    limit: -1,
  }).length;
  figures["B's p95 idle ms"] = idle;
  figures["B's p95 beside A ms"] = beside;
  figures['ratio'] = Math.round((beside / idle) * 100) / 100;
  // B was done while most of A's thousands still waited.
  expect(figures["A's jobs still waiting after"]).toBeGreaterThan(flood / 3);
  if (full) expect(beside / idle).toBeLessThanOrEqual(2);
});
