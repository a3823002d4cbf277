import { statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import Database from 'better-sqlite3';
import { systemClock } from '../src/domain/clock.ts';
import { silentLog } from '../src/domain/log.ts';
import type { Ports } from '../src/domain/ports.ts';
import { openStorage } from '../src/domain/storage/storage.ts';
import { parseConfig } from '../src/entry/config.ts';
import { settingsOf } from '../src/entry/ports.ts';
import { openEngine } from '../src/jobs/engine/engine.ts';
import { registry } from '../src/jobs/registry.ts';
import { startScheduler } from '../src/scheduler/scheduler.ts';
import { openSchedules } from '../src/scheduler/schedules.ts';
import { startWorkers } from '../src/workers/worker.ts';
import { catalogue } from '../src/workers/probes/index.ts';
import { plainRetention } from '../test/support/settings.ts';
import { quantile, tidy } from './measure.ts';

// 100 clients of 100 devices, five checks every five minutes, a schedule for each client: 288 slots one after the other.
// The schedules go by a clock that is set from slot to slot; all else goes by the real one, and nothing is left out but
// the probing itself. A slot is over when all of its checks are recorded and, where they are due, the hours rolled up.
const home = process.argv[2] ?? '';
const slots = Number(process.argv[3] ?? 288);
const clients = 100;
const devicesEach = 100;
const slotMs = 300_000;

const file = join(home, 'day.db');
const storage = await openStorage(file);
const raw = new Database(file);
raw.transaction(() => {
  const at = new Date().toISOString();
  const client = raw.prepare(
    `insert into clients (id, name, tier, status, timezone, metadata, created_at, updated_at)
     values (?, ?, 'gold', 'active', 'Europe/Berlin', '{}', ?, ?)`,
  );
  const device = raw.prepare(
    `insert into devices (id, client_id, name, type, metadata) values (?, ?, ?, 'server', '{}')`,
  );
  for (let c = 0; c < clients; c += 1) {
    client.run(`client-${c}`, `Client ${c}`, at, at);
    for (let d = 0; d < devicesEach; d += 1) device.run(`c${c}-d${d}`, `client-${c}`, `server-${d}`);
  }
})();
raw.close();

let now = Math.ceil(Date.now() / 3_600_000) * 3_600_000;
const simulated = { now: () => new Date(now) };
const redis = { home, searchPath: process.env['PATH'] ?? '', prefix: 'day' };
const engine = openEngine({ storage, redis, registry, clock: systemClock, log: silentLog });
await engine.link.ready();
// What belongs to the simulated time: when slots come due, and when something was measured.
const inSimulatedTime = { ...engine, clock: simulated };

const levels = new Map<string, number>();
const prober: Ports['prober'] = {
  async measure(device, wish) {
    const at = simulated.now().toISOString();
    return wish.checks.map(({ check }) => {
      const key = `${device.id} ${check}`;
      const level = Math.min(
        96,
        Math.max(1, (levels.get(key) ?? 40 + Math.random() * 20) + (Math.random() - 0.5) * 3),
      );
      levels.set(key, level);
      const value = Math.round(level * 10) / 10;
      return {
        check,
        instance: '',
        status: check === 'services' || check === 'network' ? 'healthy' : null,
        message: `${value} % in use`,
        values: [{ name: 'used', value, unit: '%' }],
        at,
        ms: 3,
      };
    });
  },
};

let ended = 0;
const failed: string[] = [];
const workers = await startWorkers({
  link: engine.link,
  registry,
  engine: inSimulatedTime,
  clock: systemClock,
  log: silentLog,
  ports: { prober, catalogue } as Ports,
  settings: settingsOf(parseConfig({}, {})),
  queues: ['general', 'probe', 'mail'],
  name: 'bench',
  onAttempt(type, outcome) {
    if (outcome === 'failed' || outcome === 'timed-out') failed.push(`${type} ${outcome}`);
    if (outcome === 'succeeded') ended += 1;
  },
});
const schedules = openSchedules(inSimulatedTime, 'bench');
now -= 1;
for (let c = 0; c < clients; c += 1) {
  await schedules.add({
    name: `client-${c}`,
    cron: '*/5 * * * *',
    jobType: 'health.check',
    payload: { clientId: `client-${c}` },
  });
}
await schedules.add({ name: 'rollup', cron: '10 * * * *', jobType: 'history.rollup' });

let slotBegan = 0;
const lags: number[] = [];
const alerts = settingsOf(parseConfig({}, {})).alerts;
const scheduler = startScheduler(inSimulatedTime, {
  retention: plainRetention,
  alerts,
  clocks: { sweepMs: 200, reconcileMs: 3_600_000, tidyMs: 3_600_000_000 },
  onLag: () => lags.push(performance.now() - slotBegan),
});
now += 1;

async function heldMb(): Promise<number> {
  await delay(500);
  globalThis.gc?.();
  await delay(100);
  globalThis.gc?.();
  const { heapUsed, external } = process.memoryUsage();
  return (heapUsed + external) / 1024 ** 2;
}

function databaseMb(): number {
  const checkpoint = new Database(file);
  checkpoint.pragma('wal_checkpoint(truncate)');
  checkpoint.close();
  return statSync(file).size / 1e6;
}

const slotTimes: number[] = [];
let peakMb = 0;
let early = 0;
const before = databaseMb();
const began = performance.now();
for (let slot = 0; slot < slots; slot += 1) {
  const isRollup = slot > 0 && (now / 60_000) % 60 === 10;
  ended = 0;
  slotBegan = performance.now();
  // The clock goes on by itself within a slot, so that what is measured later is later.
  const wanted = clients + (isRollup ? 1 : 0);
  const isOver = () => ended >= wanted;
  while (!isOver()) await delay(5);
  slotTimes.push(performance.now() - slotBegan);
  peakMb = Math.max(peakMb, process.memoryUsage().rss / 1024 ** 2);
  if (slot === 11) early = await heldMb();
  if (slot % 24 === 23)
    process.stderr.write(`  ${(slot + 1) / 12} h, ${Math.round((performance.now() - began) / 1000)} s\n`);
  now += slotMs;
}
const late = await heldMb();
const grown = databaseMb() - before;
const jobs = storage.read.countJobs();
await scheduler.close();
await workers.close(5000);
await engine.close();
await storage.close();
process.stdout.write(
  JSON.stringify({
    slots,
    devicesChecked: slots * clients * devicesEach,
    results: slots * clients * devicesEach * 5,
    wallS: Math.round((performance.now() - began) / 1000),
    scheduleLagP50Ms: Math.round(quantile(lags, 0.5)),
    scheduleLagP99Ms: Math.round(quantile(lags, 0.99)),
    slotP50S: tidy(quantile(slotTimes, 0.5) / 1000),
    slotP99S: tidy(quantile(slotTimes, 0.99) / 1000),
    memoryAfter1hMb: tidy(early),
    memoryAfterDayMb: tidy(late),
    peakRssMb: Math.round(peakMb),
    databaseMb: Math.round(grown),
    failed: failed.length + (jobs['dead'] ?? 0) + (jobs['failed'] ?? 0),
  }),
);
process.exit(0);
