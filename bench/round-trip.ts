import { Queue, QueueEvents, Worker } from 'bullmq';
import { z } from 'zod';
import { systemClock } from '../src/domain/clock.ts';
import { silentLog } from '../src/domain/log.ts';
import type { Ports } from '../src/domain/ports.ts';
import type { Settings } from '../src/domain/settings.ts';
import { openStorage } from '../src/domain/storage/storage.ts';
import { createRegistry, defineJob, type JobDefinition } from '../src/jobs/engine/define.ts';
import { openEngine } from '../src/jobs/engine/engine.ts';
import { startWorkers } from '../src/workers/worker.ts';
import { median, milliseconds, rounds, tidy } from './measure.ts';

const perRound = 100;

const empty = defineJob(
  {
    type: 'bench.empty',
    queue: 'general',
    payload: z.object({}),
    result: z.null(),
    attempts: 2,
    backoffMs: 100,
    timeoutMs: 10_000,
  },
  async () => ({ result: null }),
);

/** From submit to result of an empty job, one after the other, against BullMQ's add and waitUntilFinished. */
export async function roundTrip(home: string): Promise<Record<string, number>> {
  const storage = await openStorage(`${home}/round-trip.db`);
  const registry = createRegistry([empty as unknown as JobDefinition]);
  const redis = { home, searchPath: process.env['PATH'] ?? '', prefix: 'round-trip' };
  const engine = openEngine({ storage, redis, registry, clock: systemClock, log: silentLog });
  await engine.link.ready();
  const workers = await startWorkers({
    link: engine.link,
    registry,
    engine,
    clock: systemClock,
    log: silentLog,
    ports: {} as Ports,
    settings: {} as Settings,
    queues: ['general'],
    name: 'bench',
  });
  const connection = engine.link.options('worker');
  const queue = new Queue('bare', { connection, prefix: 'round-trip' });
  const events = new QueueEvents('bare', { connection, prefix: 'round-trip' });
  const worker = new Worker('bare', async () => null, { connection, prefix: 'round-trip' });
  await Promise.all([queue.waitUntilReady(), events.waitUntilReady(), worker.waitUntilReady()]);

  const bare = async () =>
    (await queue.add('empty', {}, { removeOnComplete: { count: 100 } })).waitUntilFinished(events, 10_000);
  const ours = async () => engine.wait((await engine.submit(empty, {}, { requestedBy: 'bench' })).id);
  await bare();
  await ours();
  const times = { bare: [] as number[], ours: [] as number[] };
  for (let round = 0; round < rounds; round += 1) {
    for (let i = 0; i < perRound; i += 1) times.bare.push(await milliseconds(bare));
    for (let i = 0; i < perRound; i += 1) times.ours.push(await milliseconds(ours));
  }
  await Promise.all([worker.close(), events.close(), queue.close(), workers.close(5000)]);
  await engine.close();
  await storage.close();
  return {
    bareRoundTripP50Ms: tidy(median(times.bare)),
    roundTripP50Ms: tidy(median(times.ours)),
    roundTripVsBare: tidy(median(times.ours) / median(times.bare)),
  };
}
