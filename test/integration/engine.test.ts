import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { DomainError } from '../../src/domain/errors.ts';
import { type ChildDefinition, defineChild } from '../../src/jobs/engine/define.ts';
import { resultOf } from '../../src/jobs/engine/engine.ts';
import { maxStarts } from '../../src/workers/runtime.ts';
import { by, testEngine, testJob } from '../support/engine.ts';
import { until } from '../support/home.ts';

const doubled = testJob(async (_context, { n }) => ({ result: n * 2 }));

const place = { queue: 'general', lane: '', serialKey: null };

function gate() {
  let open = () => {};
  const passed = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { passed, open };
}

/** Ends only when its signal is aborted. */
const untilAborted = (signal: AbortSignal) =>
  new Promise<never>((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));

describe('submitting', () => {
  test('a job is accepted, run once and answered', async () => {
    const { engine, work } = await testEngine([doubled]);
    await work();
    const job = await engine.submit(doubled, { n: 21 }, by);
    const ended = await engine.wait(job.id);
    expect(ended).toMatchObject({
      state: 'succeeded',
      attempts: 1,
      result: 42,
      requestedBy: 'test',
      error: null,
    });
    expect(resultOf(doubled, ended)).toBe(42);
  });

  test('a payload that does not parse is refused before anything is accepted', async () => {
    const { engine } = await testEngine([doubled]);
    await expect(engine.submit(doubled, { n: 'x' }, by)).rejects.toMatchObject({ code: 'PAYLOAD_INVALID' });
    expect(engine.list()).toEqual([]);
  });

  test('the same idempotency key gives the first job again', async () => {
    const { engine, work } = await testEngine([doubled]);
    const all = await Promise.all(
      Array.from({ length: 10 }, () => engine.submit(doubled, { n: 1 }, { ...by, idempotencyKey: 'once' })),
    );
    expect(new Set(all.map((job) => job.id)).size).toBe(1);
    await work();
    expect((await engine.wait(all[0]?.id ?? '')).attempts).toBe(1);
  });

  test('a row whose process died before handing it over is handed over by another', async () => {
    const { engine, storage, another, work } = await testEngine([doubled]);
    // Under the lease of a relay that no longer exists, and which has run out.
    await storage.write((tx) =>
      tx.insertJob({
        id: 'orphan',
        type: 'test.job',
        clientId: null,
        requestedBy: 'test',
        idempotencyKey: null,
        payload: { n: 4 },
        createdAt: '2026-01-01T00:00:00.000Z',
        ...place,
      }),
    );
    await storage.write((tx) => tx.admitJob('orphan', 'gone', '2026-01-01T00:00:10.000Z'));
    await work({ engine: await another() });
    expect(await engine.wait('orphan')).toMatchObject({ state: 'succeeded', result: 8 });
  });

  test('a row under a running lease is left to its relay', async () => {
    const { engine, storage } = await testEngine([doubled]);
    const until = new Date(Date.now() + 60_000).toISOString();
    await storage.write((tx) =>
      tx.insertJob({
        id: 'leased',
        type: 'test.job',
        clientId: null,
        requestedBy: 'test',
        idempotencyKey: null,
        payload: { n: 4 },
        createdAt: '2026-01-01T00:00:00.000Z',
        ...place,
      }),
    );
    await storage.write((tx) => tx.admitJob('leased', 'someone', until));
    const rows = await storage.write((tx) =>
      tx.takeOverLeases('me', ['general'], ['test.job'], new Date().toISOString(), until, 10),
    );
    expect(rows).toEqual([]);
    expect(engine.get('leased').state).toBe('pending');
  });

  test('rows of a type that only a newer version knows hold up no others', async () => {
    const { engine, storage, work } = await testEngine([doubled]);
    for (let n = 0; n < 120; n += 1) {
      await storage.write((tx) =>
        tx.insertJob({
          id: `a-newer-${n}`,
          type: 'from.the.future',
          clientId: null,
          requestedBy: 'test',
          idempotencyKey: null,
          payload: {},
          createdAt: '2026-01-01T00:00:00.000Z',
          ...place,
        }),
      );
    }
    await work();
    const { id } = await storage.write((tx) => engine.insert(tx, doubled, { n: 2 }, by));
    expect(await engine.wait(id, { timeoutMs: 10_000 })).toMatchObject({ state: 'succeeded' });
    expect(engine.get('a-newer-0').state).toBe('pending');
  });

  test('each act on a job is in the audit trail', async () => {
    const { engine, storage } = await testEngine([doubled]);
    const job = await engine.submit(doubled, { n: 1 }, { requestedBy: 'anna' });
    await engine.cancel(job.id, 'ben');
    await engine.retry(job.id, 'eve');
    const entries = await storage
      .em()
      .getConnection()
      .execute('select actor, action, subject from audit_entries order by id');
    expect(entries).toEqual([
      { actor: 'anna', action: 'job.submit', subject: `job:${job.id}` },
      { actor: 'ben', action: 'job.cancel', subject: `job:${job.id}` },
      { actor: 'eve', action: 'job.retry', subject: `job:${job.id}` },
    ]);
  });
});

describe('failing', () => {
  test('a passing fault is retried until it works', async () => {
    let calls = 0;
    const flaky = testJob(async () => {
      calls += 1;
      if (calls < 3) throw new Error('not yet');
      return { result: 'at last' };
    });
    const { engine, work } = await testEngine([flaky]);
    await work();
    const job = await engine.submit(flaky, {}, by);
    expect(await engine.wait(job.id)).toMatchObject({
      state: 'succeeded',
      attempts: 3,
      result: 'at last',
      error: null,
    });
  });

  test('what can not succeed is not tried again', async () => {
    const hopeless = testJob(async () => {
      throw new DomainError('CLIENT_NOT_FOUND', 'There is no such client.');
    });
    const { engine, work } = await testEngine([hopeless]);
    await work();
    const job = await engine.submit(hopeless, {}, by);
    const ended = await engine.wait(job.id);
    expect(ended).toMatchObject({ state: 'failed', attempts: 1, error: { code: 'CLIENT_NOT_FOUND' } });
    expect(() => resultOf(hopeless, ended)).toThrow(expect.objectContaining({ code: 'CLIENT_NOT_FOUND' }));
  });

  test('an error is kept without the secrets in it, and so is the log of the job', async () => {
    const leaky = testJob(async ({ log }) => {
      log.info({}, 'using password=hunter2');
      throw new DomainError('UNSUPPORTED', 'no redis://:hunter2@host', { details: { token: 'hunter2' } });
    });
    const { engine, work } = await testEngine([leaky]);
    await work();
    const { id } = await engine.submit(leaky, {}, by);
    await engine.wait(id);
    await until('the log is there', () => engine.logs(id).length >= 2);
    expect(JSON.stringify([engine.get(id), engine.logs(id)])).not.toContain('hunter2');
  });

  test('past its attempts a job is dead, with the reason, and can be retried by hand', async () => {
    let broken = true;
    const job = testJob(async () => {
      if (broken) throw new Error('the disk is on fire');
      return { result: 'ok' };
    });
    const { engine, work } = await testEngine([job]);
    await work();
    const { id } = await engine.submit(job, {}, by);
    expect(await engine.wait(id)).toMatchObject({
      state: 'dead',
      attempts: 3,
      error: { message: 'the disk is on fire' },
    });
    broken = false;
    expect(await engine.retry(id, 'anna')).toMatchObject({ error: null, finishedAt: null });
    expect(await engine.wait(id)).toMatchObject({ state: 'succeeded', attempts: 4, result: 'ok' });
    await expect(engine.retry(id, 'anna')).rejects.toMatchObject({ code: 'JOB_STATE' });
  });

  test('a handler that outlasts its timeout is stopped and tried again', async () => {
    let calls = 0;
    const slow = testJob(
      async ({ signal }) => {
        calls += 1;
        if (calls === 1) await untilAborted(signal);
        return { result: calls };
      },
      { timeoutMs: 200 },
    );
    const { engine, work } = await testEngine([slow]);
    await work();
    const { id } = await engine.submit(slow, {}, by);
    expect(await engine.wait(id)).toMatchObject({ state: 'succeeded', attempts: 2, result: 2 });
  });

  test('a handler that ignores its signal is left behind, and what it writes later has no effect', async () => {
    const { passed, open } = gate();
    let calls = 0;
    const deaf = testJob(
      async (context) => {
        calls += 1;
        if (calls === 1) {
          await passed;
          return {
            result: 'stale',
            record: (tx) => tx.addAudit({ at: '', actor: 'stale', action: '', subject: '', details: {} }),
          };
        }
        return { result: `fresh ${context.job.attempt}` };
      },
      { timeoutMs: 100 },
    );
    const { engine, work, storage } = await testEngine([deaf]);
    await work();
    const { id } = await engine.submit(deaf, {}, by);
    expect(await engine.wait(id)).toMatchObject({ state: 'succeeded', result: 'fresh 2' });
    open();
    await until(
      'the queue is empty',
      async () => (await engine.queues.get('general').getActiveCount()) === 0,
    );
    expect(engine.get(id).result).toBe('fresh 2');
    expect(
      await storage.em().getConnection().execute(`select 1 from audit_entries where actor = 'stale'`),
    ).toEqual([]);
  });

  test('a job that was started too often without ending is dead, and other jobs run', async () => {
    const { engine, work, storage } = await testEngine([doubled]);
    const { id } = await engine.submit(doubled, { n: 1 }, by);
    // As after that many kills of its worker.
    for (let i = 0; i < maxStarts; i += 1)
      await storage.write((tx) => tx.startAttempt(id, 'killed', new Date().toISOString()));
    await work();
    expect(await engine.wait(id)).toMatchObject({ state: 'dead', error: { code: 'JOB_CRASH_LIMIT' } });
    const other = await engine.submit(doubled, { n: 2 }, by);
    expect((await engine.wait(other.id)).state).toBe('succeeded');
  });

  test('effects of a record that fails are undone with the result, and the job is retried', async () => {
    let calls = 0;
    const job = testJob(async () => ({
      result: 'ok',
      record: (tx) => {
        calls += 1;
        tx.addAudit({ at: '', actor: `record ${calls}`, action: '', subject: '', details: {} });
        if (calls === 1) throw new Error('in the middle');
      },
    }));
    const { engine, work, storage } = await testEngine([job]);
    await work();
    const { id } = await engine.submit(job, {}, by);
    expect(await engine.wait(id)).toMatchObject({ state: 'succeeded', attempts: 2 });
    const rows = await storage
      .em()
      .getConnection()
      .execute(`select actor from audit_entries where actor like 'record%'`);
    expect(rows).toEqual([{ actor: 'record 2' }]);
  });
});

describe('a lost lock', () => {
  test('stops the attempt that has lost it, and a newer one ends the job', async () => {
    const reasons: unknown[] = [];
    let calls = 0;
    const held = testJob(async ({ signal }) => {
      calls += 1;
      if (calls === 1) await untilAborted(signal).catch((error: Error) => reasons.push(error.message));
      signal.throwIfAborted();
      return { result: calls };
    });
    const { engine, work } = await testEngine([held]);
    await work();
    const { id } = await engine.submit(held, {}, by);
    await until('running', () => calls === 1);
    const redis = engine.link.connect();
    await new Promise((resolve) => redis.once('ready', resolve));
    await redis.set(`${engine.link.prefix}:general:${id}:lock`, 'somebody else', 'PX', 1500);
    expect(await engine.wait(id, { timeoutMs: 20_000 })).toMatchObject({ state: 'succeeded', result: 2 });
    expect(reasons).toEqual(['lost lock']);
  });
});

describe('cancelling', () => {
  test('a job that waits is cancelled at once, even while no worker runs, and never starts', async () => {
    const { engine, work } = await testEngine([doubled]);
    const { id } = await engine.submit(doubled, { n: 1 }, by);
    expect(await engine.cancel(id, 'anna')).toMatchObject({ state: 'cancelled' });
    await work();
    const other = await engine.submit(doubled, { n: 2 }, by);
    await engine.wait(other.id);
    expect(engine.get(id)).toMatchObject({ state: 'cancelled', startedAt: null, result: null });
  });

  test('a running job is told through its signal, from any process', async () => {
    const { passed, open } = gate();
    const endless = testJob(async ({ signal }) => {
      open();
      return untilAborted(signal);
    });
    const { engine, another, work } = await testEngine([endless]);
    await work();
    const { id } = await engine.submit(endless, {}, by);
    await passed;
    await (await another()).cancel(id, 'anna');
    expect(await engine.wait(id)).toMatchObject({ state: 'cancelled', error: { code: 'JOB_CANCELLED' } });
  });

  test('the flag in the row is enough where the signal is lost', async () => {
    const { passed, open } = gate();
    const endless = testJob(async ({ signal }) => {
      open();
      return untilAborted(signal);
    });
    const { engine, storage, work } = await testEngine([endless]);
    await work();
    const { id } = await engine.submit(endless, {}, by);
    await passed;
    await storage.write((tx) => tx.requestCancel(id, new Date().toISOString()));
    expect(await engine.wait(id)).toMatchObject({ state: 'cancelled' });
  });
});

describe('waiting', () => {
  test('ends with a clear word at its limit, and the job goes on', async () => {
    const { engine, work } = await testEngine([doubled]);
    const { id } = await engine.submit(doubled, { n: 3 }, by);
    await expect(engine.wait(id, { timeoutMs: 150 })).rejects.toMatchObject({ code: 'WAIT_TIMEOUT' });
    await work();
    expect((await engine.wait(id)).result).toBe(6);
  });

  test('reports progress as it comes, from another process too', async () => {
    const { passed, open } = gate();
    const telling = testJob(async (context) => {
      await passed;
      context.progress(40, 'nearly half');
      return { result: null };
    });
    const { engine, another, work } = await testEngine([telling]);
    const watcher = await another();
    await work();
    const { id } = await engine.submit(telling, {}, by);
    const seen: unknown[] = [];
    const waiting = watcher.wait(id, { onProgress: (progress) => seen.push(progress) });
    // Redis confirms the subscription before it passes a message on.
    await until('subscribed', async () => {
      const probe = engine.link.connect();
      await new Promise((resolve) => probe.once('ready', resolve));
      const [, count] = (await probe.pubsub('NUMSUB', `${engine.link.prefix}:signals`)) as [string, number];
      probe.disconnect();
      return Number(count) >= 2;
    });
    open();
    await waiting;
    expect(seen).toEqual([{ percent: 40, message: 'nearly half' }]);
    expect(engine.get(id).progress).toEqual({ percent: 100, message: 'done' });
  });

  test('is not disturbed by a message that makes no sense', async () => {
    const { engine, work } = await testEngine([doubled]);
    await work();
    const redis = engine.link.connect();
    await new Promise((resolve) => redis.once('ready', resolve));
    await redis.publish(`${engine.link.prefix}:signals`, 'not json');
    await redis.publish(`${engine.link.prefix}:signals`, '{"kind":"other"}');
    const { id } = await engine.submit(doubled, { n: 1 }, by);
    expect((await engine.wait(id)).result).toBe(2);
  });

  test('an unknown job is an error', async () => {
    const { engine } = await testEngine([doubled]);
    await expect(engine.wait('nope')).rejects.toMatchObject({ code: 'JOB_NOT_FOUND' });
  });
});

describe('steps', () => {
  test('a retry goes on after the last finished step, with its output', async () => {
    const runs: string[] = [];
    let fail = true;
    const stepped = testJob(async (context) => {
      const first = await context.step('first', async () => {
        runs.push('first');
        return { output: { made: 7 }, evidence: { id: 7 } };
      });
      await context.step('second', async () => {
        runs.push('second');
        if (fail) {
          fail = false;
          throw new Error('once');
        }
        return { status: 'skipped', evidence: { reason: 'not here' } };
      });
      return { result: first };
    });
    const { engine, work } = await testEngine([stepped]);
    await work();
    const { id } = await engine.submit(stepped, {}, by);
    expect(await engine.wait(id)).toMatchObject({ state: 'succeeded', attempts: 2, result: { made: 7 } });
    expect(runs).toEqual(['first', 'second', 'second']);
    expect(engine.steps(id)).toMatchObject([
      { name: 'first', status: 'done', evidence: { id: 7 } },
      { name: 'second', status: 'skipped', evidence: { reason: 'not here' } },
    ]);
  });

  test('a step and its effect are committed together or not at all', async () => {
    let calls = 0;
    const stepped = testJob(async (context) => {
      await context.step('effect', async () => ({
        evidence: {},
        record: (tx) => {
          calls += 1;
          tx.addAudit({ at: '', actor: 'effect', action: String(calls), subject: '', details: {} });
          if (calls === 1) throw new Error('between effect and step');
        },
      }));
      return { result: null };
    });
    const { engine, work, storage } = await testEngine([stepped]);
    await work();
    const { id } = await engine.submit(stepped, {}, by);
    expect((await engine.wait(id)).state).toBe('succeeded');
    const rows = await storage
      .em()
      .getConnection()
      .execute(`select action from audit_entries where actor = 'effect'`);
    expect(rows).toEqual([{ action: '2' }]);
  });
});

describe('children', () => {
  function family(child: (n: number) => Promise<number>, attempts = 1) {
    const kid = defineChild(
      {
        type: 'test.child',
        queue: 'probe',
        attempts,
        backoffMs: 10,
        timeoutMs: 5000,
        payload: z.object({ n: z.number() }),
        result: z.number(),
      },
      async (_context, { n }) => child(n),
    ) as unknown as ChildDefinition;
    const parent = testJob(async (context, { n }) => {
      const outcomes = await context.children(
        kid,
        Array.from({ length: n }, (_, i) => ({ n: i })),
      );
      return { result: outcomes };
    });
    return { kid, parent };
  }

  test('come back in order, and the fan-out is one attempt', async () => {
    const { kid, parent } = family(async (n) => n * 10);
    const { engine, work } = await testEngine([kid, parent]);
    await work();
    const { id } = await engine.submit(parent, { n: 5 }, by);
    const ended = await engine.wait(id);
    expect(ended).toMatchObject({ state: 'succeeded', attempts: 1 });
    expect((ended.result as { result: number }[]).map((o) => o.result)).toEqual([0, 10, 20, 30, 40]);
  });

  test('that fail for good are stated, and do not keep the parent waiting', async () => {
    const { kid, parent } = family(async (n) => {
      if (n === 1) throw new DomainError('UNSUPPORTED', 'not this one');
      return n;
    });
    const { engine, work } = await testEngine([kid, parent]);
    await work();
    const { id } = await engine.submit(parent, { n: 3 }, by);
    const { result } = await engine.wait(id);
    expect(result).toEqual([
      { result: 0 },
      { error: expect.stringContaining('not this one') },
      { result: 2 },
    ]);
  });

  test('two fan-outs of one job are told apart, in steps and outside', async () => {
    const { kid } = family(async (n) => n);
    const twice = testJob(async (context) => {
      const ask = async (n: number) => (await context.children(kid, [{ n }]))[0]?.result;
      const first = await context.step('first', async () => ({ output: await ask(1), evidence: {} }));
      const second = await context.step('second', async () => ({ output: await ask(2), evidence: {} }));
      return { result: [first, second, await ask(3), await ask(4)] };
    });
    const { engine, work } = await testEngine([kid, twice]);
    await work();
    const { id } = await engine.submit(twice, {}, by);
    expect(await engine.wait(id)).toMatchObject({ state: 'succeeded', result: [1, 2, 3, 4], attempts: 1 });
  });

  test('a child that a shutdown cuts short is run again, and uses up no try', async () => {
    const started = gate();
    let calls = 0;
    const kid = defineChild(
      {
        type: 'test.child',
        queue: 'probe',
        attempts: 1,
        backoffMs: 10,
        timeoutMs: 20_000,
        payload: z.object({}),
        result: z.number(),
      },
      async ({ signal }) => {
        calls += 1;
        started.open();
        if (calls === 1) await untilAborted(signal);
        return calls;
      },
    ) as unknown as ChildDefinition;
    const parent = testJob(async (context) => ({ result: await context.children(kid, [{}]) }));
    const { engine, work } = await testEngine([kid, parent]);
    const workers = await work();
    const { id } = await engine.submit(parent, {}, by);
    await started.passed;
    await workers.close(100);
    await work();
    expect(await engine.wait(id)).toMatchObject({ state: 'succeeded', result: [{ result: 2 }] });
  });

  test('a parent without children goes straight on', async () => {
    const { kid, parent } = family(async (n) => n);
    const { engine, work } = await testEngine([kid, parent]);
    await work();
    const { id } = await engine.submit(parent, { n: 0 }, by);
    expect(await engine.wait(id)).toMatchObject({ state: 'succeeded', result: [] });
  });

  test('a parent that waits for its children can be cancelled with them', async () => {
    const { passed, open } = gate();
    const { kid, parent } = family(async (n) => {
      await passed;
      return n;
    });
    const { engine, work } = await testEngine([kid, parent]);
    await work();
    const { id } = await engine.submit(parent, { n: 40 }, by);
    await until(
      'the parent waits',
      async () => (await engine.queues.get('general').getWaitingChildrenCount()) === 1,
    );
    await engine.cancel(id, 'anna');
    open();
    expect((await engine.wait(id)).state).toBe('cancelled');
  });
});

describe('when Redis loses everything', () => {
  test('jobs that were handed over are handed over again and end once', async () => {
    const runs: number[] = [];
    const counted = testJob(async (_context, { n }) => {
      runs.push(n);
      return { result: n };
    });
    const { engine, work } = await testEngine([counted]);
    const jobs = await Promise.all([1, 2, 3].map((n) => engine.submit(counted, { n }, by)));
    await until('handed over', async () => (await engine.queues.get('general').getWaitingCount()) === 3);
    const redis = engine.link.connect();
    await new Promise((resolve) => redis.once('ready', resolve));
    await redis.flushall();
    await work();
    const ended = await Promise.all(jobs.map((job) => engine.wait(job.id)));
    expect(ended.map((job) => job.state)).toEqual(['succeeded', 'succeeded', 'succeeded']);
    expect(runs.sort()).toEqual([1, 2, 3]);
  });
});

describe('shutting down', () => {
  test('waits for what runs and takes nothing more', async () => {
    const { passed, open } = gate();
    const started = gate();
    const held = testJob(async () => {
      started.open();
      await passed;
      return { result: 'done' };
    });
    const { engine, work } = await testEngine([held]);
    const workers = await work();
    const { id } = await engine.submit(held, {}, by);
    await started.passed;
    const closing = workers.close(10_000);
    open();
    await closing;
    expect(engine.get(id).state).toBe('succeeded');
    const later = await engine.submit(held, {}, by);
    expect(engine.get(later.id).startedAt).toBeNull();
  });

  test('puts back what has not ended by the deadline, without counting it as a failure', async () => {
    const started = gate();
    let calls = 0;
    const held = testJob(
      async ({ signal }) => {
        calls += 1;
        started.open();
        if (calls === 1) await untilAborted(signal);
        return { result: calls };
      },
      { attempts: 1 },
    );
    const { engine, work } = await testEngine([held]);
    const workers = await work();
    const { id } = await engine.submit(held, {}, by);
    await started.passed;
    const before = performance.now();
    await workers.close(200);
    expect(performance.now() - before).toBeLessThan(6000);
    expect(engine.get(id)).toMatchObject({ state: 'queued', error: null });
    await work();
    expect(await engine.wait(id)).toMatchObject({ state: 'succeeded', result: 2 });
  });
});
