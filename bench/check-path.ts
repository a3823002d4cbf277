import { join } from 'node:path';
import Database from 'better-sqlite3';
import { type Processor, Queue, Worker } from 'bullmq';
import type { Ports } from '../src/domain/ports.ts';
import { openToolkit } from '../src/entry/toolkit.ts';
import { settingsOf } from '../src/entry/ports.ts';
import { startWorkers } from '../src/workers/worker.ts';
import type { HealthCheckSummary } from '../src/jobs/health-check.ts';
import { catalogue } from '../src/workers/probes/index.ts';
import { median, milliseconds, rounds, tidy } from './measure.ts';

const clients = 20;
const devicesEach = 100;
const total = clients * devicesEach;
const checks = 5;

/** Answers at once, so that what is measured is everything but the probing. */
const prober: Ports['prober'] = {
  measure: async (_device, wish) =>
    wish.checks.map(({ check }) => ({
      check,
      instance: '',
      status: check === 'services' || check === 'network' ? 'healthy' : null,
      values: [{ name: 'value', value: 12.5, unit: '%' }],
      message: 'measured',
      at: new Date().toISOString(),
      ms: 1,
    })),
};

/** Devices a second through fan-out, evaluation and fenced recording, against bare no-op jobs a second. */
export async function checkPath(home: string): Promise<Record<string, number>> {
  const toolkit = await openToolkit({ home, config: {}, environment: { PATH: process.env['PATH'] } });
  const engine = await toolkit.parts.engine();
  const { clock, log, config } = toolkit.parts;
  await engine.link.ready();
  for (let c = 0; c < clients; c += 1) {
    const { id } = await toolkit.clients.add({ name: `Client ${c}`, id: `client-${c}` });
    await Promise.all(
      Array.from({ length: devicesEach }, (_, d) =>
        toolkit.devices.add({ clientId: id, name: `device-${d}` }),
      ),
    );
  }

  /** Adds `total` jobs to a bare queue and waits until they are done. */
  async function bare(name: string, processor: Processor): Promise<number> {
    const queue = new Queue(name, { connection: engine.link.options('producer'), prefix: 'bare' });
    const worker = new Worker(name, processor, {
      connection: engine.link.options('worker'),
      prefix: 'bare',
      concurrency: 50,
    });
    await Promise.all([queue.waitUntilReady(), worker.waitUntilReady()]);
    let done = 0;
    const finished = new Promise<void>((resolve) => {
      worker.on('completed', () => {
        done += 1;
        if (done === total) resolve();
      });
    });
    const jobs = Array.from({ length: total }, (_, n) => ({
      name: 'noop',
      data: { n },
      opts: { removeOnComplete: true },
    }));
    const ms = await milliseconds(async () => {
      await queue.addBulk(jobs);
      await finished;
    });
    await worker.close();
    await queue.close();
    return (total / ms) * 1000;
  }

  const database = new Database(join(home, 'bare.db'));
  database.pragma('journal_mode = wal');
  database.pragma('synchronous = full');
  database.exec('create table results (id text primary key, value real)');
  const upsert = database.prepare(
    'insert into results values (?, ?) on conflict (id) do update set value = excluded.value',
  );

  async function ours(): Promise<number> {
    const workers = await startWorkers({
      link: engine.link,
      registry: engine.registry,
      engine,
      clock,
      log,
      ports: { prober, catalogue } as Ports,
      settings: settingsOf(config),
      queues: ['general', 'probe'],
      name: 'bench',
    });
    let recorded = 0;
    const ms = await milliseconds(async () => {
      const started = await Promise.all(
        Array.from({ length: clients }, (_, c) => toolkit.health.check(`client-${c}`)),
      );
      for (const job of await Promise.all(started.map((s) => engine.wait(s.job.id))))
        recorded += (job.result as HealthCheckSummary).summary.total;
    });
    await workers.close(5000);
    if (recorded !== total * checks)
      throw new Error(`${recorded} results recorded instead of ${total * checks}`);
    return (total / ms) * 1000;
  }

  const rates = { bare: [] as number[], upsert: [] as number[], ours: [] as number[] };
  for (let round = 0; round < rounds; round += 1) {
    rates.bare.push(await bare('noop', async () => null));
    rates.upsert.push(await bare('upsert', async (job) => upsert.run(job.id, job.data.n).changes));
    rates.ours.push(await ours());
  }
  database.close();
  await toolkit.close();
  return {
    bareJobsPerS: Math.round(median(rates.bare)),
    bareUpsertJobsPerS: Math.round(median(rates.upsert)),
    checkPathDevicesPerS: Math.round(median(rates.ours)),
    checkPathVsBare: tidy(median(rates.ours) / median(rates.bare)),
  };
}
