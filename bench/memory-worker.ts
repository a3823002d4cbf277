import { setTimeout as delay } from 'node:timers/promises';
import { benchEngine, empty } from './engine.ts';
import { tidy } from './measure.ts';

// Runs 100,000 empty jobs and tells what it holds on the way.
const { engine, storage, work, close } = await benchEngine(process.argv[2] ?? '', 'memory');
const workers = await work();

async function done(total: number): Promise<void> {
  while ((storage.read.countJobs()['succeeded'] ?? 0) < total) await delay(50);
}

async function heldMb(): Promise<number> {
  await delay(1000);
  globalThis.gc?.();
  await delay(100);
  globalThis.gc?.();
  const { heapUsed, external } = process.memoryUsage();
  return (heapUsed + external) / 1024 ** 2;
}

let submitted = 0;
async function submit(upTo: number): Promise<void> {
  while (submitted < upTo) {
    const next = Math.min(500, upTo - submitted);
    await storage.write((tx) => {
      for (let n = 0; n < next; n += 1) engine.insert(tx, empty, {}, { requestedBy: 'bench' });
    });
    submitted += next;
    engine.relay.kick();
    await done(submitted - 500);
  }
  await done(upTo);
}

await submit(1000);
const first = await heldMb();
const began = performance.now();
await submit(100_000);
const seconds = (performance.now() - began) / 1000;
const last = await heldMb();
process.stdout.write(
  JSON.stringify({
    memoryAfter1kMb: tidy(first),
    memoryAfter100kMb: tidy(last),
    memoryGrowth: tidy(last / first),
    longRunJobsPerS: Math.round(99_000 / seconds),
  }),
);
await workers.close(5000);
await close();
process.exit(0);
