import { statSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { addClient } from '../src/domain/client.ts';
import { systemClock } from '../src/domain/clock.ts';
import { packBlocks, type Row } from '../src/domain/history/block.ts';
import { readGrid } from '../src/domain/history/grid.ts';
import { packRun, type RawResult } from '../src/domain/history/runs.ts';
import { openStorage } from '../src/domain/storage/storage.ts';
import { milliseconds, quantile, tidy } from './measure.ts';

const clients = 100;
const devicesEach = 100;
const checks = ['cpu', 'memory', 'disk', 'services', 'network'];
const days = 30;
const samplesAnHour = 12;
const rawDays = 2;
const minuteDays = 7;

const hourMs = 3_600_000;

/** A random number from 0 to 1 that is the same in every run. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

/**
 * What 10,000 devices with five checks every five minutes leave behind in 30 days: raw results of two days, minutes of
 * seven, hours and days of all, with values that wander as real ones do and a state that changes now and then. Then the
 * question that charts ask: one client, 30 days, hour by hour.
 */
export async function history(home: string): Promise<Record<string, number>> {
  const file = join(home, 'history.db');
  const storage = await openStorage(file);
  const who = { actor: 'bench', clock: systemClock };
  const random = seeded(7);
  const start = Date.UTC(2026, 5, 1);
  for (let c = 0; c < clients; c += 1)
    await addClient(storage, who, { name: `Client ${c}`, id: `client-${c}` });
  await storage.close();

  const raw = new Database(file);
  raw.pragma('synchronous = off');
  const addDevice = raw.prepare(
    `insert into devices (id, client_id, name, type, metadata) values (?, ?, ?, 'server', '{}')`,
  );
  const addState = raw.prepare(
    `insert into check_states (client_id, device_id, check_name, instance, status, hard, tries, since, at, hold_until, message,
       vals, limits, ms, changes, flapping, unreachable, known, span_from)
     values (?, ?, ?, '', 'healthy', 'healthy', 0, ?, ?, ?, ?, ?, '{"warning":85,"critical":95}', 12, 0, 0, 0, 1, ?)`,
  );
  const addMetric = raw.prepare('insert into check_metrics (state_id, name, unit) values (?, ?, ?)');
  const addSpan = raw.prepare('insert into state_spans values (?, ?, ?, ?, ?)');
  const addRun = raw.prepare('insert into check_runs values (?, 0, ?, ?, ?)');
  const addBlock = raw.prepare(
    `insert into rollups (client_id, level, start_ms, until_ms, part, first_metric, last_metric, data)
     values (?, ?, ?, ?, ?, ?, ?, ?)`,
  );
  const cursor = raw.prepare('insert into history_cursors values (?, ?, ?)');
  const end = start + days * 24 * hourMs;
  const iso = (ms: number) => new Date(ms).toISOString();

  const message = (check: string, value: number) =>
    check === 'services'
      ? 'running: sshd, nginx, postgresql'
      : `${value} % in use, ${(100 - value).toFixed(1)} GiB of 100.0 GiB free`;
  const fillClient = raw.transaction((clientId: string) => {
    const things: { state: number; metric: number; check: string; level: number }[] = [];
    for (let d = 0; d < devicesEach; d += 1) {
      const device = `${clientId}-d${d}`;
      addDevice.run(device, clientId, `server-${d}.example.com`);
      for (const check of checks) {
        const vals = JSON.stringify([{ name: 'used', value: 50, unit: '%' }]);
        const state = Number(
          addState.run(
            clientId,
            device,
            check,
            iso(start),
            iso(end),
            iso(end),
            message(check, 50),
            vals,
            start,
          ).lastInsertRowid,
        );
        const metric = Number(addMetric.run(state, 'used', '%').lastInsertRowid);
        things.push({ state, metric, check, level: random() * 80 });
        for (let s = 0; s < 6; s += 1) {
          const from = start + Math.floor(random() * days * 24) * hourMs + s;
          addSpan.run(state, from, from + 900_000, s % 2 === 0 ? 'healthy' : 'warning', message(check, 86));
        }
      }
    }
    const put = (level: string, at: number, until: number, rows: Row[]) => {
      for (const [part, { first, last, data }] of packBlocks(rows).entries())
        addBlock.run(clientId, level, at, until, part, first, last, data);
    };
    for (let day = 0; day < days; day += 1) {
      const dayRows: Row[] = [];
      for (let hour = 0; hour < 24; hour += 1) {
        const at = start + (day * 24 + hour) * hourMs;
        const hourRows: Row[] = [];
        const minuteRows: Row[] = [];
        const runs: RawResult[][] = Array.from({ length: samplesAnHour }, () => []);
        for (const thing of things) {
          let [min, max, sum] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0];
          for (let i = 0; i < samplesAnHour; i += 1) {
            thing.level = Math.min(99, Math.max(1, thing.level + (random() - 0.5) * 4));
            const value = Math.round(thing.level * 10) / 10;
            min = Math.min(min, value);
            max = Math.max(max, value);
            sum += value;
            if (day >= days - minuteDays)
              minuteRows.push({
                metric: thing.metric,
                slot: i * 5,
                count: 1,
                min: value,
                avg: value,
                max: value,
              });
            if (day >= days - rawDays)
              runs[i]?.push({
                stateId: thing.state,
                status: 'healthy',
                verdict: null,
                message: message(thing.check, value),
                values: [{ name: 'used', value, unit: '%' }],
                limits: { warning: 85, critical: 95 },
                at: at + i * 300_000 + Math.floor(random() * 1000),
                ms: Math.floor(random() * 40),
              });
          }
          const row = {
            metric: thing.metric,
            slot: 0,
            count: samplesAnHour,
            min,
            avg: sum / samplesAnHour,
            max,
          };
          hourRows.push(row);
          if (hour === 0) dayRows.push({ ...row, count: samplesAnHour * 24 });
        }
        put('hour', at, at + hourMs, hourRows);
        if (minuteRows.length > 0) put('minute', at, at + hourMs, minuteRows);
        for (const [i, results] of runs.entries()) {
          const began = at + i * 300_000;
          if (results.length > 0)
            addRun.run(`${clientId}-${began}`, clientId, began, packRun(began, results));
        }
      }
      put('day', start + day * 24 * hourMs, start + (day + 1) * 24 * hourMs, dayRows);
    }
    cursor.run(clientId, end, end);
  });
  for (let c = 0; c < clients; c += 1) fillClient(`client-${c}`);
  raw.pragma('wal_checkpoint(truncate)');
  raw.close();

  const bytes = statSync(file).size;
  const samples = clients * devicesEach * checks.length * days * 24 * samplesAnHour;
  // Opened anew, so that nothing is in its cache.
  const fresh = await openStorage(file);
  const times: number[] = [];
  for (let c = 0; c < 21; c += 1) {
    const query = {
      clientId: `client-${c * 4}`,
      timezone: 'UTC',
      level: 'hour',
      from: start,
      to: end,
    } as const;
    times.push(
      await milliseconds(async () => {
        const grid = readGrid(fresh.read, query);
        const points = grid.series.reduce((n, s) => n + s.count.length, 0);
        if (points !== devicesEach * checks.length * days * 24) throw new Error(`${points} points were read`);
      }),
    );
  }
  await fresh.close();
  return {
    historySamplesM: tidy(samples / 1e6),
    historyMb: Math.round(bytes / 1e6),
    historyBytesPerSample: tidy(bytes / samples),
    historyQueryMs: tidy(quantile(times, 0.5)),
    historyQueryP95Ms: tidy(quantile(times, 0.95)),
  };
}
