import { Queue, QueueEvents, Worker } from 'bullmq';
import { benchEngine, empty } from './engine.ts';
import { median, milliseconds, rounds, tidy } from './measure.ts';

const perRound = 100;

/** From submit to result of an empty job, one after the other, against BullMQ's add and waitUntilFinished. */
export async function roundTrip(home: string): Promise<Record<string, number>> {
  const { engine, work, close } = await benchEngine(home, 'round-trip');
  const workers = await work();
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
  await close();
  return {
    bareRoundTripP50Ms: tidy(median(times.bare)),
    roundTripP50Ms: tidy(median(times.ours)),
    roundTripMoreMs: tidy(median(times.ours) - median(times.bare)),
    roundTripVsBare: tidy(median(times.ours) / median(times.bare)),
  };
}
