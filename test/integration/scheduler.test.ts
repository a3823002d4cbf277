import { expect, onTestFinished, test } from 'vitest';
import type { Schedule } from '../../src/domain/schedule.ts';
import { startScheduler } from '../../src/scheduler/scheduler.ts';
import { testEngine, testJob } from '../support/engine.ts';
import { until } from '../support/home.ts';

const job = testJob(async (_context, { n }) => ({ result: n }));
const everySecond: Schedule = {
  name: 'often',
  cron: '* * * * * *',
  timezone: 'UTC',
  jobType: 'test.job',
  payload: { n: 5 },
};

test('each slot happens once, however many schedulers tick', async () => {
  const { engine, another, work } = await testEngine([job]);
  await work();
  for (const at of [engine, await another()]) {
    const scheduler = startScheduler(at, [everySecond]);
    onTestFinished(() => scheduler.close());
  }
  const jobs = await until('three slots', () => {
    const done = engine.list().filter((j) => j.state === 'succeeded');
    return done.length >= 3 && done;
  });
  expect(jobs.every((j) => j.requestedBy === 'schedule:often' && j.result === 5)).toBe(true);
  const seconds = engine.list().map((j) => j.createdAt.slice(0, 19));
  expect(new Set(seconds).size).toBe(seconds.length);
});

test('a slot that falls while Redis is away is kept', async () => {
  const { engine } = await testEngine([job]);
  const scheduler = startScheduler(engine, [everySecond]);
  onTestFinished(() => scheduler.close());
  await until('a slot', () => engine.list().length > 0);
  // Nothing has ever started Redis in this home.
  expect(engine.list().at(-1)?.state).toBe('pending');
});

test.each([
  [{ cron: 'not a cron' }, /can't be read/],
  [{ cron: '0 0 30 2 *' }, /never comes/],
  [{ jobType: 'no.such' }, /no job type "no.such"/],
  [{ payload: { n: 'x' } }, /payload of test.job/],
])('a schedule with %j is refused with its name', async (change, words) => {
  const { engine } = await testEngine([job]);
  const start = () => startScheduler(engine, [{ ...everySecond, ...change }]);
  expect(start).toThrow(
    expect.objectContaining({ code: 'CONFIG_INVALID', message: expect.stringMatching(words) }),
  );
  expect(start).toThrow('often');
});

test('two of one name are refused', async () => {
  const { engine } = await testEngine([job]);
  expect(() => startScheduler(engine, [everySecond, everySecond])).toThrow(
    /often — there are two of this name/,
  );
});

test('the next time is that of the timezone, in summer and in winter', async () => {
  const { engine } = await testEngine([job]);
  const scheduler = startScheduler(engine, [{ ...everySecond, cron: '0 2 * * *', timezone: 'Asia/Tokyo' }]);
  onTestFinished(() => scheduler.close());
  expect(scheduler.next()).toEqual([{ name: 'often', at: expect.stringMatching(/T17:00:00/) }]);
});
