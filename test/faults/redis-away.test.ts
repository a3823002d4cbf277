import { Redis } from 'ioredis';
import { expect, onTestFinished } from 'vitest';
import { by } from '../support/engine.ts';
import { until } from '../support/home.ts';
import { externalRedis } from '../support/redis.ts';
import { memoryProblem } from '../../src/jobs/engine/redis-link.ts';
import { faultTest, full } from './support/fault.ts';
import { work } from './support/jobs.ts';
import { faultRelay } from './support/relay.ts';
import { world, type World } from './support/world.ts';

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** Submits on and on and notes what was acknowledged; what is refused is refused with a clear error. */
function submitting({ engine, history }: World) {
  const stopped = new AbortController();
  let refused = 0;
  const done = (async () => {
    while (!stopped.signal.aborted) {
      try {
        const { id } = await engine.submit(work, { ms: 5 }, by);
        history.note('ack', id);
      } catch (error) {
        expect(error).toMatchObject({
          code: 'REDIS_UNAVAILABLE',
          message: expect.stringContaining('does not answer'),
        });
        refused += 1;
        await pause(50);
      }
    }
  })();
  return {
    refused: () => refused,
    async stop() {
      stopped.abort();
      await done;
    },
  };
}

function reconcile({ engine, history, effects }: World): {
  acknowledged: number;
  lost: number;
  twice: number;
} {
  const acknowledged = history.all('ack').map(({ id }) => id);
  const counts = effects();
  return {
    acknowledged: acknowledged.length,
    lost: acknowledged.filter((id) => engine.get(id).state !== 'succeeded' || !counts.has(id)).length,
    twice: [...counts.values()].filter((count) => count > 1).length,
  };
}

const allEnded = ({ engine, storage }: World) =>
  until(
    'every job has ended',
    () => storage.read.countJobs()['succeeded'] === engine.list({ limit: -1 }).length,
    120_000,
  );

faultTest('killedRedis', { short: 90_000, full: 300_000 }, async ({ figures }) => {
  const redis = await externalRedis(['--appendonly', 'yes', '--appendfsync', 'always']);
  const at = await world(redis.url);
  await at.worker();
  const load = submitting(at);
  const kills = full ? 10 : 2;
  const delays: number[] = [];
  for (let n = 0; n < kills; n += 1) {
    await pause(1000);
    await redis.kill();
    await pause(full ? 3000 : 1000);
    await redis.startAgain();
    const back = Date.now();
    const before = at.effects().size;
    await until('a job has been done', () => at.effects().size > before, 10_000);
    delays.push((Date.now() - back) / 1000);
  }
  await load.stop();
  await allEnded(at);
  Object.assign(figures, { kills, refused: load.refused(), ...reconcile(at) });
  figures['first job after, max s'] = Math.max(...delays);
  expect(figures).toMatchObject({ lost: 0, twice: 0 });
  if (full) expect(Math.max(...delays)).toBeLessThanOrEqual(5);
});

for (const [name, how] of [
  ['cutRedis', 'cut'],
  ['swallowedRedis', 'swallow'],
] as const) {
  faultTest(name, { short: 90_000, full: 240_000 }, async ({ figures }) => {
    const redis = await externalRedis();
    const relay = await faultRelay(redis.port);
    const at = await world(`redis://127.0.0.1:${relay.port}`);
    await at.worker();
    const first = await at.engine.submit(work, {}, by);
    await at.engine.wait(first.id);
    const load = submitting(at);
    await pause(500);
    relay[how]();
    await load.stop();
    const slowest: number[] = [];
    const until_ = Date.now() + (full ? 30_000 : 3000);
    while (Date.now() < until_) {
      const began = performance.now();
      await at.engine.submit(work, {}, by).then(
        () => expect.fail('accepted without Redis'),
        (error: unknown) => expect(error).toMatchObject({ code: 'REDIS_UNAVAILABLE' }),
      );
      slowest.push(performance.now() - began);
      await pause(100);
    }
    relay.pass();
    const back = Date.now();
    await allEnded(at);
    const later = await until('a submit is taken again', async () =>
      at.engine.submit(work, {}, by).catch(() => undefined),
    );
    await at.engine.wait(later.id, { timeoutMs: 30_000 });
    Object.assign(figures, reconcile(at));
    figures['refused, max s'] = Math.round(Math.max(...slowest)) / 1000;
    figures['worker back after s'] = (Date.now() - back) / 1000;
    expect(figures).toMatchObject({ lost: 0, twice: 0 });
    if (full) expect(Math.max(...slowest)).toBeLessThan(1300);
  });
}

faultTest('fullRedis', { short: 60_000, full: 120_000 }, async ({ figures }) => {
  const redis = await externalRedis([
    '--appendonly',
    'yes',
    '--maxmemory',
    '6mb',
    '--maxmemory-policy',
    'noeviction',
  ]);
  const at = await world(redis.url);
  await at.worker();
  const direct = new Redis(redis.url);
  onTestFinished(() => direct.disconnect());
  const first = await at.engine.submit(work, {}, by);
  await at.engine.wait(first.id);
  let filled = 0;
  await until('its memory is full', async () => {
    const full_ = await direct.set(`filler:${filled}`, 'x'.repeat(10_000)).catch(() => 'full');
    filled += 1;
    return full_ === 'full';
  });
  expect(await memoryProblem(direct)).toMatch(/\d+ % of its memory is used/);
  const count = full ? 200 : 20;
  for (let n = 0; n < count; n += 1) at.history.note('ack', (await at.engine.submit(work, { n }, by)).id);
  const [row] = at.storage.read.jobs({ state: 'pending', limit: 1 });
  if (!row) throw new Error('one should wait');
  await expect(at.engine.relay.handOver([row])).rejects.toMatchObject({
    code: 'REDIS_FULL',
    message: expect.stringContaining('has used up its memory'),
  });
  figures['evicted keys'] = Number(/evicted_keys:(\d+)/.exec(await direct.info('stats'))?.[1]);
  await direct.config('SET', 'maxmemory', '0');
  await allEnded(at);
  Object.assign(figures, reconcile(at));
  expect(figures).toMatchObject({ acknowledged: count, lost: 0, twice: 0, 'evicted keys': 0 });
});
