import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished } from 'vitest';
import { stopEmbeddedRedis } from '../../src/jobs/engine/embedded-redis.ts';
import type { ScheduleInput } from '../../src/domain/schedule.ts';
import { until } from '../support/home.ts';
import { testToolkit } from '../support/toolkit.ts';
import { faultTest } from './support/fault.ts';
import { killed } from './support/world.ts';

const job = { jobType: 'health.check', payload: { clientId: 'acme', checks: ['memory'] } };

/** A home whose processes all live at a time that is set by hand and goes on by itself. */
async function timeMachine(start: string) {
  let offset = 0;
  const clock = { now: () => new Date(Date.now() + offset) };
  const { home, toolkit } = await testToolkit({}, { clock });
  const file = `${home}.clock`;
  const set = (at: string) => {
    offset = Date.parse(at) - Date.now();
    writeFileSync(file, String(offset));
  };
  set(start);
  await toolkit.clients.add({ name: 'Acme', id: 'acme' });
  await toolkit.devices.add({ clientId: 'acme', name: hostname() });
  const script = join(import.meta.dirname, 'support/serve-process.ts');
  const history = async (name: string) => {
    const { slots } = await toolkit.schedules.history(name, 1000);
    return slots.toReversed();
  };
  return {
    home,
    toolkit,
    set,
    add: (input: Pick<ScheduleInput, 'name' | 'cron'> & Partial<ScheduleInput>) =>
      toolkit.schedules.add({ ...job, ...input }),
    async serve() {
      const child = spawn(process.execPath, [script, home], {
        stdio: ['ignore', 'pipe', 'inherit'],
        env: { ...process.env, CLOCK_FILE: file },
      });
      onTestFinished(() => void child.kill('SIGKILL'));
      await once(child.stdout, 'data');
      return child;
    },
    /** What became of each slot, such as `11:00 run`; neighbours that ended alike are one line. */
    async told(name: string): Promise<string[]> {
      return (await history(name)).map(
        ({ slot, outcome, count }) => `${slot.slice(5, 16)} ${outcome}${count > 1 ? ` x${count}` : ''}`,
      );
    },
    accounted: (name: string, slot: string) =>
      until(`${name} at ${slot}`, async () =>
        (await history(name)).some((s) => s.slot <= slot && s.until >= slot),
      ),
    async jobsOf(name: string): Promise<number> {
      const jobs = await toolkit.jobs.list({ type: 'health.check', limit: 1000 });
      return jobs.filter(({ requestedBy }) => requestedBy === `schedule:${name}`).length;
    },
    async allSucceeded(): Promise<void> {
      await until('all runs have succeeded', async () =>
        (await toolkit.jobs.list({ limit: 1000 })).every(({ state }) => state === 'succeeded'),
      );
    },
  };
}

faultTest('fiveSlotsDown', { short: 60_000, full: 60_000 }, async ({ figures }) => {
  const at = await timeMachine('2027-06-01T10:59:57.000Z');
  for (const misfire of ['skip', 'once', 'all'] as const)
    await at.add({ name: misfire, cron: '0 * * * *', misfire, overlap: 'queue' });
  const first = await at.serve();
  for (const name of ['skip', 'once', 'all']) await at.accounted(name, '2027-06-01T11:00:00.000Z');
  await at.allSucceeded();
  await killed(first);
  await stopEmbeddedRedis(join(at.home, 'redis'));
  at.set('2027-06-01T16:30:00.000Z');
  await at.serve();
  for (const name of ['skip', 'once', 'all']) await at.accounted(name, '2027-06-01T16:00:00.000Z');
  at.set('2027-06-01T16:59:58.000Z');
  for (const name of ['skip', 'once', 'all']) await at.accounted(name, '2027-06-01T17:00:00.000Z');
  await at.allSucceeded();
  expect(await at.told('skip')).toEqual(['06-01T11:00 run', '06-01T12:00 missed x5', '06-01T17:00 run']);
  expect(await at.told('once')).toEqual([
    '06-01T11:00 run',
    '06-01T12:00 missed x4',
    '06-01T16:00 run',
    '06-01T17:00 run',
  ]);
  expect(await at.told('all')).toEqual([11, 12, 13, 14, 15, 16, 17].map((hour) => `06-01T${hour}:00 run`));
  for (const [name, runs] of [
    ['skip', 2],
    ['once', 3],
    ['all', 7],
  ] as const) {
    figures[`misfire ${name}: run of 7`] = await at.jobsOf(name);
    expect(await at.jobsOf(name)).toBe(runs);
  }
});

faultTest('dstNights', { short: 90_000, full: 90_000 }, async ({ figures }) => {
  const at = await timeMachine('2027-03-14T05:55:00.000Z');
  const zone = { timezone: 'America/New_York', overlap: 'allow' } as const;
  await at.add({ name: 'night', cron: '30 2 * * *', ...zone });
  await at.add({ name: 'repeated', cron: '30 1 * * *', ...zone });
  await at.add({ name: 'half-hourly', cron: '*/30 * * * *', ...zone });
  await at.serve();
  /** Lives through the half hours of a night, each from shortly before it. */
  async function night(day: string, from: string, to: string): Promise<string[]> {
    const slots: string[] = [];
    for (let slot = Date.parse(`${day}T${from}Z`); slot <= Date.parse(`${day}T${to}Z`); slot += 1_800_000) {
      const name = new Date(slot).toISOString();
      at.set(new Date(slot - 700).toISOString());
      await at.accounted('half-hourly', name);
      slots.push(name.slice(5, 16));
    }
    return slots;
  }
  const spring = await night('2027-03-14', '06:00:00', '08:00:00');
  await at.toolkit.schedules.pause('half-hourly');
  at.set('2027-11-07T04:55:00.000Z');
  await at.toolkit.schedules.resume('half-hourly');
  const autumn = await night('2027-11-07', '05:00:00', '07:30:00');
  await at.allSucceeded();
  const runs = (await at.told('half-hourly')).filter((line) => line.endsWith('run'));
  expect(runs).toEqual([...spring, ...autumn].map((slot) => `${slot} run`));
  // The clocks jump from 02:00 to 03:00: what stood at 02:30 comes at 03:00, once.
  const nights = await at.told('night');
  expect(nights.filter((line) => line.startsWith('03-14'))).toEqual(['03-14T07:00 run']);
  // 01:30 comes twice that night, and is run the first time.
  const repeated = await at.told('repeated');
  expect(repeated.filter((line) => line.startsWith('11-07'))).toEqual(['11-07T05:30 run']);
  figures['slots run'] =
    (await at.jobsOf('half-hourly')) + (await at.jobsOf('night')) + (await at.jobsOf('repeated'));
  figures['half hours lived through'] = runs.length;
  expect(await at.jobsOf('half-hourly')).toBe(runs.length);
});

faultTest('clockJumps', { short: 60_000, full: 60_000 }, async ({ figures }) => {
  const at = await timeMachine('2027-06-01T10:29:58.000Z');
  await at.add({ name: 'half', cron: '*/30 * * * *', overlap: 'allow' });
  await at.serve();
  await at.accounted('half', '2027-06-01T10:30:00.000Z');
  at.set('2027-06-01T11:30:10.000Z');
  await at.accounted('half', '2027-06-01T11:30:00.000Z');
  // Back again: what has been decided stays, and work goes on all the while.
  at.set('2027-06-01T10:30:30.000Z');
  const meanwhile = await at.toolkit.health.check('acme', { checks: ['memory'] });
  await meanwhile.result();
  at.set('2027-06-01T10:59:59.500Z');
  await (await at.toolkit.health.check('acme', { checks: ['memory'] })).result();
  at.set('2027-06-01T11:29:59.500Z');
  await (await at.toolkit.health.check('acme', { checks: ['memory'] })).result();
  at.set('2027-06-01T11:59:59.000Z');
  await at.accounted('half', '2027-06-01T12:00:00.000Z');
  await at.allSucceeded();
  expect(await at.told('half')).toEqual([
    '06-01T10:30 run',
    '06-01T11:00 missed',
    '06-01T11:30 run',
    '06-01T12:00 run',
  ]);
  figures['slots'] = 4;
  figures['jobs'] = await at.jobsOf('half');
  expect(figures['jobs']).toBe(3);
});
