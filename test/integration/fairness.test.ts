import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { DomainError } from '../../src/domain/errors.ts';
import { defineJob, type JobDefinition, type Outcome } from '../../src/jobs/engine/define.ts';
import type { Engine } from '../../src/jobs/engine/engine.ts';
import { plainRetention } from '../support/settings.ts';
import { by, handClock, testEngine, testJob } from '../support/engine.ts';
import { until } from '../support/home.ts';

const payload = z.object({ clientId: z.string(), n: z.number().default(0) });

/** A job of a client's that ends when it is let go. */
function held(spec: Partial<JobDefinition> = {}) {
  let open = () => {};
  const passed = new Promise<void>((resolve) => {
    open = resolve;
  });
  const order: string[] = [];
  const definition = defineJob(
    {
      type: 'held',
      queue: 'general',
      payload,
      result: z.null(),
      attempts: 2,
      backoffMs: 10,
      timeoutMs: 30_000,
      ...(spec as object),
    },
    async (_context, { clientId }): Promise<Outcome<null>> => {
      order.push(clientId);
      await passed;
      return { result: null };
    },
  );
  return { definition: definition as unknown as JobDefinition, open: () => open(), order };
}

/** Puts many jobs in at once, as a flood would be found by a worker that starts. */
async function flood(engine: Engine, definition: JobDefinition, clientId: string, count: number) {
  await engine.storage.write((tx) => {
    for (let n = 0; n < count; n += 1) engine.insert(tx, definition, { clientId, n }, by);
  });
}

const count = (list: readonly string[], word: string) => list.filter((entry) => entry === word).length;

test('a client with five jobs does not wait for the five thousand of another', async () => {
  const { definition, open, order } = held();
  const { engine, work } = await testEngine([definition]);
  await flood(engine, definition, 'a', 5000);
  await work();
  await until('a has all it may have', () => order.length === 5);
  const jobs = await Promise.all(
    Array.from({ length: 5 }, () => engine.submit(definition, { clientId: 'b' }, by)),
  );
  // Half of the places are kept free for whoever comes, while every job of a's is still held.
  await until('b runs', () => count(order, 'b') === 5);
  expect(count(order, 'a')).toBe(5);
  open();
  const ended = await Promise.all(jobs.map(({ id }) => engine.wait(id)));
  expect(ended.every(({ state }) => state === 'succeeded')).toBe(true);
  expect(engine.list({ state: 'pending', clientId: 'a', limit: 1 })).toHaveLength(1);
});

test('with more clients than may be handed over at once all get their turn', async () => {
  const { definition } = held();
  const { engine, storage } = await testEngine([definition]);
  const clients = Array.from({ length: 60 }, (_, n) => `c-${String(n).padStart(2, '0')}`);
  for (const client of clients) await flood(engine, definition, client, 10);
  const ended = new Map(clients.map((client) => [client, 0]));
  const placed: { id: string; client: string }[] = [];
  const error = { code: 'JOB_CANCELLED', message: '', details: {} } as const;
  for (let round = 0; round < 300; round += 1) {
    const rows = await storage.write((tx) => engine.relay.admit(tx, 'general'));
    placed.push(...rows.map((row) => ({ id: row.id, client: row.client_id ?? '' })));
    const first = placed.shift();
    if (!first) throw new Error('somebody should hold a place');
    await storage.write((tx) => tx.cancelIdle(first.id, error, '', true));
    ended.set(first.client, (ended.get(first.client) ?? 0) + 1);
  }
  expect([...new Set(ended.values())]).toEqual([5]);
});

test('with many clients the places go around', async () => {
  const { definition, order } = held();
  const { engine, work } = await testEngine([definition]);
  for (const client of ['a', 'b', 'c', 'd', 'e']) await flood(engine, definition, client, 50);
  await work();
  await until('all places are taken', () => order.length === 10);
  expect(['a', 'b', 'c', 'd', 'e'].map((client) => count(order, client))).toEqual([2, 2, 2, 2, 2]);
});

describe('limits', () => {
  test.each([
    ['of the type itself', { atOnce: 3 }, {}, 3],
    ['of the configuration, which win', { atOnce: 3 }, { held: { atOnce: 1 } }, 1],
    ['for each client', { perClient: 2 }, {}, 4],
  ])('%s are kept over all jobs that are handed over', async (_name, policy, limits, expected) => {
    const { definition, open, order } = held(policy);
    const { engine, work } = await testEngine([definition], { limits });
    await flood(engine, definition, 'a', 5);
    await flood(engine, definition, 'b', 5);
    await work();
    await until('as many run as may', () => order.length === expected);
    const placed = engine.storage.read.heldPlaces('general');
    expect(placed).toHaveLength(expected);
    open();
    await until('all have run', () => engine.list({ state: 'succeeded' }).length === 10);
  });

  test('hold for tries that come again as well', async () => {
    let running = 0;
    let most = 0;
    const tried = new Set<number>();
    const once = testJob(
      async (_context, { n }) => {
        running += 1;
        most = Math.max(most, running);
        await new Promise((resolve) => setTimeout(resolve, 30));
        running -= 1;
        if (!tried.has(n)) {
          tried.add(n);
          throw new Error('the first try fails');
        }
        return { result: n };
      },
      { type: 'once' },
    );
    const { engine, work } = await testEngine([once], { limits: { once: { atOnce: 1 } } });
    const jobs = await Promise.all([1, 2, 3, 4].map((n) => engine.submit(once, { n }, by)));
    await work();
    const ended = await Promise.all(jobs.map(({ id }) => engine.wait(id)));
    expect(ended.map(({ state, attempts }) => [state, attempts])).toEqual(jobs.map(() => ['succeeded', 2]));
    expect(most).toBe(1);
  });

  test('of a type that does not exist are refused', async () => {
    await expect(testEngine([], { limits: { 'no.such': { atOnce: 1 } } })).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
    });
  });

  test('a type at its limit does not hold up another type of the same client', async () => {
    const { definition } = held({ atOnce: 1 });
    const free = testJob(async () => ({ result: null }));
    const { engine, work } = await testEngine([definition, free]);
    await flood(engine, definition, 'a', 20);
    await work();
    const { id } = await engine.submit(free, {}, by);
    expect((await engine.wait(id)).state).toBe('succeeded');
  });

  test('a job that waits for its next try holds no place', async () => {
    let fail = true;
    const flaky = testJob(
      async () => {
        if (fail) throw new Error('not now');
        return { result: null };
      },
      { backoffMs: 60_000, type: 'flaky' },
    );
    const { definition, open } = held({ atOnce: 1 });
    const { engine, work } = await testEngine([flaky, definition]);
    const jobs = await Promise.all(Array.from({ length: 50 }, () => engine.submit(flaky, {}, by)));
    await work();
    await until('all have failed once', () => jobs.every(({ id }) => engine.get(id).error !== null));
    fail = false;
    open();
    const other = await engine.submit(definition, { clientId: 'b' }, by);
    expect((await engine.wait(other.id)).state).toBe('succeeded');
  });

  test('the turns of an account are shared, and a job that gets none waits without using up a try', async () => {
    const paced = testJob(
      async (context) => {
        await context.pace('mail', 60);
        return { result: null };
      },
      { attempts: 1 },
    );
    const { engine, work } = await testEngine([paced]);
    await work();
    const jobs = await Promise.all([1, 2].map(() => engine.submit(paced, {}, by)));
    const ended = await Promise.all(jobs.map(({ id }) => engine.wait(id)));
    expect(ended.map(({ state, attempts }) => [state, attempts])).toEqual([
      ['succeeded', 1],
      ['succeeded', 1],
    ]);
    const outcomes = jobs.flatMap(({ id }) => engine.attempts(id).map(({ outcome }) => outcome));
    // Its turn is kept for it, so it waits once.
    expect(outcomes.sort()).toEqual(['postponed', 'succeeded', 'succeeded']);
  });

  test('turns are evenly spaced and kept, and a clock that was set back holds nobody up', async () => {
    const job = testJob(async () => ({ result: null }));
    const { engine, storage } = await testEngine([job]);
    const start = Date.parse('2026-01-01T12:00:00Z');
    const take = (id: string, nowMs: number) => storage.write((tx) => tx.takeTurn(id, 'api', 60, nowMs));
    const jobs = await Promise.all([1, 2, 3, 4].map((n) => engine.submit(job, { n }, by)));
    const [a = '', b = '', c = '', d = ''] = jobs.map(({ id }) => id);
    expect([await take(a, start), await take(b, start), await take(c, start)]).toEqual([0, 1000, 2000]);
    // Asking again does not lose the turn, nor take another's.
    expect([await take(c, start + 1000), await take(b, start + 1000)]).toEqual([1000, 0]);
    expect(await take(c, start + 2000)).toBe(0);
    expect(await take(d, start - 90_000_000)).toBe(0);
  });
});

describe('attempts', () => {
  test('each says when, where and how it ended', async () => {
    let calls = 0;
    const flaky = testJob(
      async ({ signal }) => {
        calls += 1;
        if (calls === 1) throw new DomainError('REDIS_UNAVAILABLE', 'not now');
        if (calls === 2) await new Promise((_, reject) => signal.addEventListener('abort', reject));
        return { result: calls };
      },
      { timeoutMs: 300 },
    );
    const { engine, work } = await testEngine([flaky]);
    await work();
    const { id } = await engine.submit(flaky, {}, by);
    await engine.wait(id);
    expect(engine.attempts(id)).toMatchObject([
      {
        attempt: 1,
        worker: 'test',
        outcome: 'failed',
        error: { code: 'REDIS_UNAVAILABLE', message: 'not now' },
      },
      { attempt: 2, outcome: 'timed-out', error: { code: 'JOB_TIMEOUT' } },
      { attempt: 3, outcome: 'succeeded', error: null, endedAt: expect.stringMatching(/Z$/) },
    ]);
  });

  test('one whose worker never came back is told as crashed once the next one starts', async () => {
    const job = testJob(async () => ({ result: null }));
    const { engine, storage, work } = await testEngine([job]);
    const { id } = await engine.submit(job, {}, by);
    await storage.write((tx) => tx.startAttempt(id, 'host:1', '2026-01-01T00:00:00.000Z'));
    expect(engine.attempts(id)).toMatchObject([{ worker: 'host:1', outcome: null, endedAt: null }]);
    await work();
    await engine.wait(id);
    expect(engine.attempts(id).map(({ outcome }) => outcome)).toEqual(['crashed', 'succeeded']);
  });
});

describe('what could not be done', () => {
  test('is set right in the transaction in which the job dies, fails or is cancelled', async () => {
    const given: string[] = [];
    const job = {
      ...testJob(async () => {
        throw new Error('never');
      }),
      attempts: 1,
      abandon: (_tx: unknown, ended: { state: string; error: { message: string } | null }) =>
        given.push(`${ended.state}: ${ended.error?.message}`),
    } as unknown as JobDefinition;
    const { engine, work } = await testEngine([job]);
    const cancelled = await engine.submit(job, {}, by);
    await engine.cancel(cancelled.id, 'anna');
    await work();
    const { id } = await engine.submit(job, {}, by);
    await engine.wait(id);
    expect(given).toEqual(['cancelled: Cancelled by anna.', 'dead: never']);
  });

  test('is retried by filter, and nothing else is', async () => {
    let broken = true;
    const job = testJob(
      async (_context, { n }) => {
        if (broken && n > 0) throw new Error('broken');
        return { result: n };
      },
      { attempts: 1 },
    );
    const other = testJob(async () => Promise.reject(new Error('broken')), { attempts: 1, type: 'other' });
    const { engine, work } = await testEngine([job, other]);
    await work();
    const jobs = await Promise.all([0, 1, 2].map((n) => engine.submit(job, { n }, by)));
    jobs.push(await engine.submit(other, {}, by));
    await Promise.all(jobs.map(({ id }) => engine.wait(id)));
    broken = false;
    const again = await engine.retryAll({ state: 'dead', type: 'test.job' }, 'anna');
    expect(new Set(again.map(({ id }) => id))).toEqual(new Set([jobs[1]?.id, jobs[2]?.id]));
    const ended = await Promise.all(again.map(({ id }) => engine.wait(id)));
    expect(ended.map(({ state }) => state)).toEqual(['succeeded', 'succeeded']);
    expect(engine.get(jobs[3]?.id ?? '').state).toBe('dead');
  });
});

test('what has ended is forgotten after its time, and not before; what has not ended never is', async () => {
  const { tidyUp } = await import('../../src/scheduler/housekeeping.ts');
  const clock = handClock('2026-01-01T00:00:00.000Z');
  const job = testJob(async (_context, { n }) => {
    if (n > 0) throw new DomainError('UNSUPPORTED', 'no');
    return { result: n };
  });
  const { engine, storage, work } = await testEngine([job], { clock });
  const workers = await work();
  const [good, bad] = await Promise.all([0, 1].map((n) => engine.submit(job, { n }, by)));
  await Promise.all([good, bad].map((each) => engine.wait(each?.id ?? '')));
  await workers.close(1000);
  const waiting = await engine.submit(job, {}, by);
  const left = async (at: string) => {
    clock.set(at);
    await tidyUp({ storage, clock, registry: engine.registry }, plainRetention);
    return engine
      .list()
      .map(({ id }) => id)
      .sort();
  };
  expect(await left('2026-01-30T00:00:00.000Z')).toHaveLength(3);
  expect(await left('2026-02-02T00:00:00.000Z')).toEqual([bad?.id, waiting.id].sort());
  expect(await left('2027-01-01T00:00:00.000Z')).toEqual([waiting.id]);
  expect(storage.read.attempts(bad?.id ?? '')).toEqual([]);
});
