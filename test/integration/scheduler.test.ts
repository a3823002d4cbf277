import { Queue } from 'bullmq';
import { describe, expect, onTestFinished, test } from 'vitest';
import { DomainError } from '../../src/domain/errors.ts';
import type { ScheduleInput } from '../../src/domain/schedule.ts';
import type { Engine } from '../../src/jobs/engine/engine.ts';
import { startScheduler } from '../../src/scheduler/scheduler.ts';
import { checkSchedules, openSchedules } from '../../src/scheduler/schedules.ts';
import { accountFor } from '../../src/scheduler/slots.ts';
import { tickQueue } from '../../src/scheduler/ticks.ts';
import { plainRetention, plainSettings } from '../support/settings.ts';
import { by, handClock, testEngine, testJob } from '../support/engine.ts';
import { until } from '../support/home.ts';

const job = testJob(async (_context, { n }) => ({ result: n }));
const hourly: ScheduleInput = { name: 'hourly', cron: '0 * * * *', jobType: 'test.job', payload: { n: 5 } };
const everySecond: ScheduleInput = { ...hourly, name: 'often', cron: '* * * * * *', overlap: 'allow' };
const clocks = { sweepMs: 100, reconcileMs: 300, tidyMs: 60_000 };

function run(engine: Engine) {
  const scheduler = startScheduler(engine, {
    retention: plainRetention,
    alerts: plainSettings.alerts,
    clocks,
  });
  onTestFinished(() => scheduler.close());
  return scheduler;
}

/** An engine whose clock is set by hand, with one schedule, added at midnight. */
async function atMidnight(input: Partial<ScheduleInput> = {}) {
  const clock = handClock('2026-01-01T00:00:00.000Z');
  const { engine, storage, another, work } = await testEngine([job], { clock });
  const schedules = openSchedules(engine, 'anna');
  const schedule = await schedules.add({ ...hourly, ...input });
  const account = (at: string, by_ = engine) => {
    clock.set(at);
    return storage.write((tx) => accountFor(tx, by_, schedule.id, clock.now()));
  };
  const told = () =>
    schedules
      .history(schedule.name)
      .slots.toReversed()
      .map(({ slot, outcome, count }) => `${slot.slice(11, 16)} ${outcome} ${count}`);
  return { clock, engine, storage, another, work, schedules, schedule, account, told };
}

describe('accounting for slots', () => {
  test('a slot asks for its job once, however often and from wherever it is looked at', async () => {
    const { engine, account, another, told } = await atMidnight();
    const other = await another();
    await Promise.all([account('2026-01-01T01:00:01Z'), account('2026-01-01T01:00:01Z', other)]);
    await account('2026-01-01T01:00:02Z');
    expect(told()).toEqual(['01:00 run 1']);
    expect(engine.list()).toMatchObject([{ requestedBy: 'schedule:hourly', payload: { n: 5 } }]);
  });

  test('after five missed slots "once" runs the newest and says what became of the others', async () => {
    const { account, told, schedules } = await atMidnight();
    await account('2026-01-01T05:30:00Z');
    expect(told()).toEqual(['01:00 missed 4', '05:00 run 1']);
    expect(schedules.history('hourly').slots[1]).toMatchObject({
      slot: '2026-01-01T01:00:00.000Z',
      until: '2026-01-01T04:00:00.000Z',
      reason: 'nobody was there at its time; a later slot stands for it',
    });
    expect(schedules.history('hourly').totals).toEqual({ run: 1, skipped: 0, missed: 4 });
  });

  test('"skip" runs none of them, and the next in time', async () => {
    const { account, told } = await atMidnight({ misfire: 'skip' });
    await account('2026-01-01T03:30:00Z');
    await account('2026-01-01T04:00:01Z');
    expect(told()).toEqual(['01:00 missed 3', '04:00 run 1']);
  });

  test('"all" runs each within the window, one after the other', async () => {
    const { engine, account, told, work } = await atMidnight({
      misfire: 'all',
      misfireWindowSeconds: 3 * 3600,
    });
    await account('2026-01-01T05:30:00Z');
    expect(told()).toEqual(['01:00 missed 2', '03:00 run 1', '04:00 run 1', '05:00 run 1']);
    await work();
    await until('all have run', () => engine.list({ state: 'succeeded' }).length === 3);
  });

  test('months of a frequent schedule are accounted for in parts, exactly', async () => {
    const { account, schedules, told } = await atMidnight({ cron: '* * * * *' });
    let parts = 1;
    while ((await account('2026-01-03T00:00:30Z')).more) parts += 1;
    expect(parts).toBeGreaterThan(1);
    expect(told()).toEqual(['00:01 missed 2879', '00:00 run 1']);
    expect(schedules.history('hourly').totals).toEqual({ run: 1, skipped: 0, missed: 2879 });
  });

  test('a clock set back runs nothing twice, and goes on when it has caught up', async () => {
    const { account, told } = await atMidnight({ overlap: 'allow' });
    await account('2026-01-01T01:00:01Z');
    await account('2026-01-01T02:00:01Z');
    await account('2026-01-01T01:00:01Z');
    await account('2026-01-01T02:00:01Z');
    await account('2026-01-01T03:00:01Z');
    expect(told()).toEqual(['01:00 run 1', '02:00 run 1', '03:00 run 1']);
  });

  test('a clock a month ahead, corrected: pause and resume take back what had no job, and slots come again', async () => {
    const { account, told, schedules } = await atMidnight({ misfire: 'skip', overlap: 'allow' });
    await account('2026-01-01T01:00:01Z');
    while ((await account('2026-02-01T00:30:00Z')).more);
    await account('2026-01-01T01:30:00Z');
    await schedules.pause('hourly');
    await schedules.resume('hourly');
    await account('2026-01-01T02:00:01Z');
    await account('2026-01-01T03:00:01Z');
    expect(told()).toEqual(['01:00 run 1', '02:00 run 1', '03:00 run 1']);
  });

  test('many schedules that slept for long are accounted for in small commits', async () => {
    const clock = handClock('2026-01-01T00:00:00.000Z');
    const { engine } = await testEngine([job], { clock });
    const schedules = openSchedules(engine, 'anna');
    await Promise.all(
      Array.from({ length: 20 }, (_, n) => schedules.add({ ...hourly, name: `s-${n}`, cron: '*/5 * * * *' })),
    );
    clock.set('2026-01-08T00:00:30.000Z');
    run(engine);
    await until('all are accounted for', () => schedules.list().every(({ lastRunAt }) => lastRunAt !== null));
    const totals = schedules.list().map(({ name }) => schedules.history(name).totals);
    expect(totals).toEqual(totals.map(() => ({ run: 1, skipped: 0, missed: 7 * 288 - 1 })));
    expect(engine.list()).toHaveLength(20);
  });

  test('a clock an hour ahead and back again: what had no job comes again, what ran does not', async () => {
    const { account, told, schedules } = await atMidnight({ cron: '*/30 * * * *', overlap: 'allow' });
    await account('2026-01-01T00:30:01Z');
    await account('2026-01-01T01:30:01Z');
    // Corrected; a pause and resume start it from the present again.
    await account('2026-01-01T00:31:00Z');
    await schedules.pause('hourly');
    await schedules.resume('hourly');
    for (const time of ['01:00', '01:30', '02:00']) await account(`2026-01-01T${time}:01Z`);
    expect(told()).toEqual(['00:30 run 1', '01:00 run 1', '01:30 run 1', '02:00 run 1']);
  });

  test.each([
    ['skip', ['01:00 run 1', '02:00 skipped 2'], 1],
    ['queue', ['01:00 run 1', '02:00 run 1', '03:00 run 1'], 3],
    ['allow', ['01:00 run 1', '02:00 run 1', '03:00 run 1'], 3],
  ] as const)(
    'while a run goes on, overlap %s makes of the next slots %j',
    async (overlap, expected, jobs) => {
      const { engine, account, told } = await atMidnight({ overlap });
      for (const time of ['01', '02', '03']) await account(`2026-01-01T${time}:00:01Z`);
      expect(told()).toEqual(expected);
      expect(engine.list()).toHaveLength(jobs);
    },
  );

  test('a slot that is skipped for a run before it names that', async () => {
    const { engine, account, schedules } = await atMidnight();
    for (const time of ['01', '02']) await account(`2026-01-01T${time}:00:01Z`);
    expect(schedules.history('hourly').slots[0]?.reason).toBe(
      `the run before it, job ${engine.list()[0]?.id}, had not ended`,
    );
  });

  test('"queue" hands over one at a time, in order', async () => {
    const order: number[] = [];
    let running = 0;
    let most = 0;
    const slow = testJob(async (_context, { n }) => {
      running += 1;
      most = Math.max(most, running);
      await new Promise((resolve) => setImmediate(resolve));
      running -= 1;
      order.push(n);
      return { result: null };
    });
    const { engine, storage, work } = await testEngine([slow]);
    for (let n = 0; n < 5; n += 1)
      await storage.write((tx) => engine.insert(tx, slow, { n }, { ...by, serialKey: 'one' }));
    await work();
    await until('all have run', () => engine.list({ state: 'succeeded' }).length === 5);
    expect([most, order]).toEqual([1, [0, 1, 2, 3, 4]]);
  });

  test('slots of a paused schedule are skipped, and say so', async () => {
    const { account, told, schedules } = await atMidnight();
    await schedules.pause('hourly');
    await account('2026-01-01T02:00:01Z');
    await schedules.resume('hourly');
    await account('2026-01-01T03:00:01Z');
    expect(told()).toEqual(['01:00 skipped 2', '03:00 run 1']);
    expect(schedules.history('hourly').slots.at(-1)?.reason).toBe('it was paused');
  });

  test('a job type that has gone, and a payload that fits no more, skip the slot with the reason', async () => {
    const { storage, schedule, account, schedules } = await atMidnight();
    const row = storage.read.schedule(schedule.id);
    if (!row) throw new Error('it was just added');
    await storage.write((tx) => tx.putSchedule({ ...row, job_type: 'old.job' }));
    await account('2026-01-01T01:00:01Z');
    await storage.write((tx) =>
      tx.putSchedule({ ...row, cursor: '2026-01-01T01:00:00.000Z', payload: '{"m":1}' }),
    );
    await account('2026-01-01T02:00:01Z');
    const reasons = schedules.history('hourly').slots.map(({ outcome, reason }) => `${outcome}: ${reason}`);
    expect(reasons[1]).toBe('skipped: there is no job type "old.job" any more');
    expect(reasons[0]).toMatch(/^skipped: The payload of test.job is not valid/);
  });

  test('changing a schedule first decides about what has come due by the old terms', async () => {
    const { clock, schedules, told } = await atMidnight();
    clock.set('2026-01-01T02:30:00.000Z');
    await schedules.update('hourly', { cron: '15 * * * *' });
    expect(told()).toEqual(['01:00 missed 1', '02:00 run 1']);
    expect(schedules.get('hourly').nextRunAt).toBe('2026-01-01T03:15:00.000Z');
  });
});

describe('saving a schedule', () => {
  test.each([
    [{ cron: 'not a cron' }, 'SCHEDULE_INVALID', /can't be read/],
    [{ cron: '0 0 30 2 *' }, 'SCHEDULE_INVALID', /never comes/],
    [{ timezone: 'Mars/Olympus' }, 'VALIDATION', /timezone: must be an IANA timezone/],
    [{ jobType: 'no.such' }, 'SCHEDULE_INVALID', /no job type "no.such"; known are test.job/],
    [{ payload: { n: 'x' } }, 'SCHEDULE_INVALID', /payload of test.job/],
    [{ name: 'Not A Name' }, 'VALIDATION', /name: must be/],
    [{ cron: '*/5 * * * *', jitterSeconds: 900 }, 'SCHEDULE_INVALID', /jitter of 900 s is longer/],
  ])('with %j is refused with a clear sentence', async (change, code, words) => {
    const { engine } = await testEngine([job]);
    const schedules = openSchedules(engine, 'anna');
    const adding = Promise.resolve().then(() => schedules.add({ ...hourly, ...change }));
    await expect(adding).rejects.toMatchObject({ code, message: expect.stringMatching(words) });
    expect(schedules.list()).toEqual([]);
  });

  test('a second one of a name is refused, and both acts are audited', async () => {
    const { engine, storage } = await testEngine([job]);
    const schedules = openSchedules(engine, 'anna');
    await schedules.add(hourly);
    await expect(schedules.add(hourly)).rejects.toMatchObject({ code: 'SCHEDULE_EXISTS' });
    await schedules.remove('hourly');
    expect(() => schedules.get('hourly')).toThrow(DomainError);
    const entries = await storage
      .em()
      .getConnection()
      .execute('select actor, action, subject from audit_entries order by id');
    expect(entries).toEqual([
      { actor: 'anna', action: 'schedule.add', subject: 'schedule:hourly' },
      { actor: 'anna', action: 'schedule.remove', subject: 'schedule:hourly' },
    ]);
  });

  test('those of the configuration follow it, and can be paused but not changed by command', async () => {
    const { engine } = await testEngine([job]);
    const schedules = openSchedules(engine, 'anna');
    const wish = {
      misfire: 'once',
      misfireWindowSeconds: 60,
      overlap: 'skip',
      jitterSeconds: 0,
      paused: false,
    } as const;
    const one = {
      ...wish,
      name: 'one',
      cron: '0 1 * * *',
      timezone: 'UTC',
      jobType: 'test.job',
      payload: {},
    };
    await schedules.follow([one, { ...one, name: 'two' }], 'replace');
    await schedules.pause('one');
    await schedules.follow([{ ...one, cron: '0 2 * * *' }], 'replace');
    expect(schedules.list()).toMatchObject([
      { name: 'one', cron: '0 2 * * *', source: 'configuration', paused: true },
    ]);
    await expect(schedules.remove('one')).rejects.toMatchObject({ code: 'SCHEDULE_FIXED' });
    await schedules.add(hourly);
    await expect(schedules.follow([{ ...one, name: 'hourly' }], 'replace')).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
    });
  });

  test('the configuration is told all of its problems at once', async () => {
    const { engine } = await testEngine([job]);
    const wish = {
      ...hourly,
      timezone: 'UTC',
      payload: {},
      misfire: 'once',
      misfireWindowSeconds: 60,
      overlap: 'skip',
      jitterSeconds: 0,
      paused: false,
    } as const;
    const check = () =>
      checkSchedules(
        engine.registry,
        [
          { ...wish, cron: 'x' },
          { ...wish, jobType: 'no.such' },
        ],
        new Date(),
      );
    expect(check).toThrow(/hourly — the cron "x" can't be read.*no job type "no.such".*two of this name/);
  });
});

describe('a running scheduler', () => {
  test('runs each slot once, however many of them tick, and tells how each went', async () => {
    const { engine, another, work } = await testEngine([job]);
    await work();
    const schedules = openSchedules(engine, 'anna');
    await schedules.add(everySecond);
    run(engine);
    run(await another());
    await until('three slots', () => engine.list({ state: 'succeeded' }).length >= 3);
    const { slots } = schedules.history('often');
    expect(new Set(slots.map(({ slot }) => slot)).size).toBe(slots.length);
    expect(slots.every(({ outcome }) => outcome === 'run')).toBe(true);
    expect(new Set(slots.map(({ jobId }) => jobId)).size).toBe(slots.length);
  });

  test('keeps a slot that falls while Redis is away', async () => {
    // No redis-server is to be found, so none is started.
    const { engine } = await testEngine([job], { searchPath: '/nowhere' });
    await openSchedules(engine, 'anna').add(everySecond);
    run(engine);
    await until('a slot', () => engine.list().length > 0);
    expect(engine.list().at(-1)?.state).toBe('pending');
  });

  test('one leads; when it has gone another does', async () => {
    const { engine, another } = await testEngine([job]);
    const first = run(engine);
    await until('the first leads', () => first.leads());
    const second = run(await another());
    expect(second.leads()).toBe(false);
    await first.close();
    await until('the second leads', () => second.leads());
  });

  async function reconciled() {
    const { engine, work } = await testEngine([job]);
    await work();
    const schedules = openSchedules(engine, 'anna');
    const { id } = await schedules.add(hourly);
    const scheduler = run(engine);
    const queue = new Queue(tickQueue, {
      connection: engine.link.options('worker'),
      prefix: engine.link.prefix,
    });
    onTestFinished(() => queue.close());
    await until('Redis has it', async () => (await queue.getJobSchedulers()).length === 1);
    return { engine, schedules, scheduler, queue, id };
  }

  test('sets its job schedulers up again after Redis was wiped', async () => {
    const { engine, queue, id } = await reconciled();
    const redis = engine.link.connect();
    await new Promise((resolve) => redis.once('ready', resolve));
    await redis.flushall();
    await until('Redis has it again', async () => (await queue.getJobSchedulers())[0]?.key === id);
  });

  test('follows changes, pauses and removals made in any process', async () => {
    const { schedules, queue } = await reconciled();
    await schedules.update('hourly', { cron: '30 * * * *' });
    await until('the new cron', async () => (await queue.getJobSchedulers())[0]?.pattern === '30 * * * *');
    await schedules.pause('hourly');
    await until('none', async () => (await queue.getJobSchedulers()).length === 0);
    await schedules.resume('hourly');
    await until('one', async () => (await queue.getJobSchedulers()).length === 1);
    await schedules.remove('hourly');
    await until('none', async () => (await queue.getJobSchedulers()).length === 0);
  });

  test('notices a job scheduler that has silently stopped, and mends it', async () => {
    const { engine, scheduler, queue, id } = await reconciled();
    const redis = engine.link.connect();
    await new Promise((resolve) => redis.once('ready', resolve));
    // As when its one delayed tick was lost: the next time passes and nothing ever comes.
    const [tick] = await queue.getDelayed();
    await redis.zrem(`${engine.link.prefix}:${tickQueue}:delayed`, tick?.id ?? '');
    await redis.zadd(`${engine.link.prefix}:${tickQueue}:repeat`, Date.now() - 60_000, id);
    await scheduler.reconcile();
    const next = (await queue.getJobSchedulers())[0]?.next ?? 0;
    expect(next).toBeGreaterThan(Date.now());
    expect(await queue.getDelayedCount()).toBe(1);
  });
});
