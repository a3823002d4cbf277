import { once } from 'node:events';
import { stat } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { DomainError } from '../domain/errors.ts';
import type { AttemptOutcome } from '../domain/job.ts';
import type { Toolkit } from './toolkit.ts';

/** Figures of this process and of the queues, for Prometheus. */
export interface Metrics {
  /** Notes an attempt that ended. */
  attempt(type: string, outcome: AttemptOutcome, ms: number): void;
  /** Notes how late a slot's job was asked for. */
  lag(ms: number): void;
  /** All of them in Prometheus' text format. */
  text(): Promise<string>;
}

const seconds = [0.005, 0.02, 0.1, 0.5, 1, 2, 5, 10, 30, 60, 120, 300];

/** Makes the metrics. What concerns all processes is read from the database and from Redis at each scrape. */
export async function createMetrics(toolkit: Toolkit): Promise<Metrics> {
  const { Counter, Gauge, Histogram, Registry } = await import('prom-client');
  const registry = new Registry();
  const registers = [registry];
  const { storage, clock } = toolkit.parts;
  const engine = await toolkit.parts.engine();

  const runs = new Counter({
    name: 'msp_job_attempts_total',
    help: 'Attempts that ended in this process, by job type and outcome',
    labelNames: ['type', 'outcome'],
    registers,
  });
  const runTime = new Histogram({
    name: 'msp_job_attempt_seconds',
    help: 'How long attempts took in this process',
    labelNames: ['type'],
    buckets: seconds,
    registers,
  });
  const lag = new Histogram({
    name: 'msp_schedule_lag_seconds',
    help: 'How late the jobs of schedules were asked for by this process',
    buckets: seconds,
    registers,
  });
  const depth = new Gauge({
    name: 'msp_queue_jobs',
    help: 'Jobs that have not ended, by queue and state',
    labelNames: ['queue', 'state'],
    registers,
  });
  const oldest = new Gauge({
    name: 'msp_queue_oldest_seconds',
    help: 'Age of the oldest job that has not ended, by queue',
    labelNames: ['queue'],
    registers,
  });
  const dead = new Gauge({ name: 'msp_dead_jobs', help: 'Jobs that are dead', registers });
  const processes = new Gauge({
    name: 'msp_worker_processes',
    help: 'Processes with workers, by whether they are alive',
    labelNames: ['alive'],
    registers,
  });
  const redisUp = new Gauge({ name: 'msp_redis_up', help: '1 if Redis answers', registers });
  const redisSeconds = new Gauge({ name: 'msp_redis_ping_seconds', help: 'Time of a ping', registers });
  const sqliteUp = new Gauge({ name: 'msp_sqlite_up', help: '1 if the database takes writes', registers });
  const writeSeconds = new Gauge({
    name: 'msp_sqlite_commit_seconds',
    help: 'Time of a commit',
    registers,
  });
  const bytes = new Gauge({
    name: 'msp_sqlite_bytes',
    help: 'Size of the database and of its journal',
    labelNames: ['file'],
    registers,
  });

  async function collect(): Promise<void> {
    const now = clock.now();
    depth.reset();
    oldest.reset();
    const ages = new Map<string, number>();
    for (const row of storage.read.backlog()) {
      depth.set({ queue: row.queue, state: row.state }, row.n);
      const age = (now.getTime() - Date.parse(row.oldest)) / 1000;
      ages.set(row.queue, Math.max(age, ages.get(row.queue) ?? 0));
    }
    for (const [queue, age] of ages) oldest.set({ queue }, age);
    dead.set(storage.read.countJobs()['dead'] ?? 0);
    const all = storage.read.processes(now);
    processes.set({ alive: 'yes' }, all.filter((process) => process.alive).length);
    processes.set({ alive: 'no' }, all.filter((process) => !process.alive).length);
    const asked = performance.now();
    const answered = await engine.link.ready().then(
      () => true,
      () => false,
    );
    redisUp.set(answered ? 1 : 0);
    redisSeconds.set((performance.now() - asked) / 1000);
    const began = performance.now();
    const written = await storage
      .write((tx) => tx.putSetting('last-scrape', now.toISOString()))
      .then(
        () => true,
        () => false,
      );
    sqliteUp.set(written ? 1 : 0);
    writeSeconds.set((performance.now() - began) / 1000);
    for (const [file, path] of [
      ['database', storage.file],
      ['journal', `${storage.file}-wal`],
    ] as const) {
      const found = await stat(path).catch(() => undefined);
      bytes.set({ file }, found?.size ?? 0);
    }
  }
  return {
    attempt(type, outcome, ms) {
      runs.inc({ type, outcome });
      runTime.observe({ type }, ms / 1000);
    },
    lag: (ms) => lag.observe(ms / 1000),
    async text() {
      await collect();
      return registry.metrics();
    },
  };
}

/**
 * Serves the metrics on a loopback port, under /metrics, and nothing else. Throws PORT_IN_USE.
 *
 * @param port 0 for any free one
 */
export async function serveMetrics(
  metrics: Pick<Metrics, 'text'>,
  port: number,
): Promise<{ port: number; close(): Promise<void> }> {
  const server = createServer((request, response) => {
    if (request.method !== 'GET' || request.url !== '/metrics') {
      response.writeHead(404).end();
      return;
    }
    metrics.text().then(
      (text) => response.writeHead(200, { 'content-type': 'text/plain; version=0.0.4' }).end(text),
      () => response.writeHead(500).end(),
    );
  });
  server.listen(port, '127.0.0.1');
  try {
    await once(server, 'listening');
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new DomainError('PORT_IN_USE', `The metrics can't be served on port ${port}: ${reason}.`, {
      details: { port },
      hint: 'Choose another metrics.port, or end what listens there.',
      cause: error,
    });
  }
  server.unref();
  return {
    port: (server.address() as AddressInfo).port,
    async close() {
      server.closeAllConnections();
      server.close();
    },
  };
}
