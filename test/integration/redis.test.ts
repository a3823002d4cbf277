import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { describe, expect, onTestFinished, test } from 'vitest';
import { silentLog } from '../../src/domain/log.ts';
import { mask } from '../../src/domain/mask.ts';
import { ensureEmbeddedRedis, socketPath } from '../../src/jobs/engine/embedded-redis.ts';
import { openRedisLink } from '../../src/jobs/engine/redis-link.ts';
import { by, testEngine, testJob } from '../support/engine.ts';
import { scratchHome, until } from '../support/home.ts';
import { externalRedis } from '../support/redis.ts';

const searchPath = process.env['PATH'] ?? '';

async function connect(path: string): Promise<Redis> {
  const redis = new Redis({ path });
  onTestFinished(() => redis.disconnect());
  redis.on('error', () => {});
  return redis;
}

const pidOf = async (folder: string) => Number(await readFile(join(folder, 'redis.pid'), 'utf8'));

function alive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

function link(home: string, extra: { url?: string; allowUnsafe?: boolean } = {}) {
  const opened = openRedisLink({ home, searchPath, prefix: 't', ...extra }, silentLog);
  onTestFinished(() => opened.close());
  return opened;
}

describe('the private Redis', () => {
  test('is started once by any number that need it, and has no TCP port', async () => {
    const folder = join(await scratchHome(), 'redis');
    const sockets = await Promise.all(
      Array.from({ length: 6 }, () => ensureEmbeddedRedis({ folder, searchPath })),
    );
    expect(new Set(sockets).size).toBe(1);
    const redis = await connect(socketPath(folder));
    const info = await redis.info('server');
    expect(info).toContain('tcp_port:0');
    expect(info).toContain(`process_id:${await pidOf(folder)}`);
    expect((await stat(socketPath(folder))).mode & 0o777).toBe(0o700);
  });

  test('keeps every acknowledged write and evicts nothing', async () => {
    const folder = join(await scratchHome(), 'redis');
    await ensureEmbeddedRedis({ folder, searchPath });
    const redis = await connect(socketPath(folder));
    const settings = await redis.config('GET', 'append*', 'maxmemory-policy');
    expect(settings).toEqual(
      expect.arrayContaining(['appendonly', 'yes', 'appendfsync', 'always', 'noeviction']),
    );
  });

  test('is started again when it is killed, with what it held', async () => {
    const home = await scratchHome();
    const folder = join(home, 'redis');
    const opened = link(home);
    await opened.ready();
    const redis = opened.connect();
    await once(redis, 'ready');
    await redis.set('kept', 'yes');
    const before = await pidOf(folder);
    process.kill(before, 'SIGKILL');
    await until('revived', async () => (await redis.get('kept').catch(() => null)) === 'yes');
    expect(await pidOf(folder)).not.toBe(before);
  });

  test('ends by itself soon after its last user has gone, even one that was killed', async () => {
    const folder = join(await scratchHome(), 'redis');
    const user = spawn(
      process.execPath,
      [
        '--input-type=module',
        '-e',
        `import { ensureEmbeddedRedis } from '${join(import.meta.dirname, '../../src/jobs/engine/embedded-redis.ts')}';
         import { Redis } from 'ioredis';
         const path = await ensureEmbeddedRedis({ folder: process.argv[1], searchPath: process.env.PATH, idleSeconds: 2 });
         new Redis({ path }).once('ready', () => console.log('ready'));`,
        folder,
      ],
      { stdio: ['ignore', 'pipe', 'inherit'], cwd: join(import.meta.dirname, '../..') },
    );
    await once(user.stdout, 'data');
    const pid = await pidOf(folder);
    // Longer than the idle time: while somebody is connected it must stay.
    await new Promise((resolve) => setTimeout(resolve, 3500));
    expect(alive(pid)).toBe(true);
    user.kill('SIGKILL');
    await until('gone', () => !alive(pid), 10_000);
  });

  test('ends by itself even if its keeper was killed, and if its home was deleted', async () => {
    const folder = join(await scratchHome(), 'redis');
    const options = { folder, searchPath, idleSeconds: 2 };
    await ensureEmbeddedRedis(options);
    const pid = await pidOf(folder);
    await until('a keeper', () => existsSync(join(folder, 'keeper.pid')));
    process.kill(Number(await readFile(join(folder, 'keeper.pid'), 'utf8')), 'SIGKILL');
    // The next one who needs it sees to it that somebody looks after it.
    await until('a new keeper', async () => {
      await ensureEmbeddedRedis(options);
      return alive(Number(await readFile(join(folder, 'keeper.pid'), 'utf8')));
    });
    expect(await pidOf(folder)).toBe(pid);
    await rm(folder, { recursive: true });
    await until('gone', () => !alive(pid), 10_000);
  });

  test('does not take the server of another home for its own because of an old pid file', async () => {
    const [mine, other] = [join(await scratchHome(), 'redis'), join(await scratchHome(), 'redis')];
    await ensureEmbeddedRedis({ folder: other, searchPath });
    await mkdir(mine);
    await writeFile(join(mine, 'redis.pid'), String(await pidOf(other)));
    await ensureEmbeddedRedis({ folder: mine, searchPath });
    expect(await pidOf(mine)).not.toBe(await pidOf(other));
  });

  test('that hangs is said to, within seconds, and gets no second server beside it', async () => {
    const folder = join(await scratchHome(), 'redis');
    await ensureEmbeddedRedis({ folder, searchPath });
    const pid = await pidOf(folder);
    process.kill(pid, 'SIGSTOP');
    await expect(ensureEmbeddedRedis({ folder, searchPath })).rejects.toMatchObject({
      code: 'REDIS_UNAVAILABLE',
    });
    expect(await pidOf(folder)).toBe(pid);
    process.kill(pid, 'SIGCONT');
    expect(await ensureEmbeddedRedis({ folder, searchPath })).toBe(socketPath(folder));
  });

  test('outlives the process that started it, and takes no Ctrl-C meant for that one', async () => {
    const home = await scratchHome();
    const opened = link(home);
    await opened.ready();
    const group = (await readFile(`/proc/${await pidOf(join(home, 'redis'))}/stat`, 'utf8')).split(' ')[4];
    const own = (await readFile('/proc/self/stat', 'utf8')).split(' ')[4];
    expect(group).not.toBe(own);
  });

  test('is refused where the home is too deep for a socket', async () => {
    const folder = join(await scratchHome(), 'x'.repeat(120));
    await expect(ensureEmbeddedRedis({ folder, searchPath })).rejects.toMatchObject({
      code: 'HOME_PATH_TOO_LONG',
      kind: 'usage',
      hint: expect.stringContaining('MSP_HOME'),
    });
  });

  test('is refused where something else listens on its socket', async () => {
    const folder = join(await scratchHome(), 'redis');
    await mkdir(folder);
    const other = createServer((socket) =>
      socket.on('error', () => {}).end('HTTP/1.0 400 no\r\n\r\n'),
    ).listen(socketPath(folder));
    onTestFinished(() => void other.close());
    await once(other, 'listening');
    await expect(ensureEmbeddedRedis({ folder, searchPath })).rejects.toMatchObject({
      code: 'REDIS_SOCKET_IN_USE',
    });
  });

  test('a missing redis-server names the command that installs it', async () => {
    const folder = join(await scratchHome(), 'redis');
    await expect(ensureEmbeddedRedis({ folder, searchPath: '/nonexistent' })).rejects.toMatchObject({
      code: 'REDIS_MISSING',
      hint: expect.stringContaining('apt-get install redis-server'),
    });
  });
});

describe('a Redis of the user', () => {
  test('works by its URL, with a password', async () => {
    const { url } = await externalRedis(['--appendonly', 'yes'], 'p4ss');
    const opened = link(await scratchHome(), { url });
    await opened.ready();
    expect(opened.embedded).toBe(false);
  });

  test('that wants another password does not get ours into any log', async () => {
    const { url } = await externalRedis(['--appendonly', 'yes'], 'p4ss');
    const lines: string[] = [];
    const keep = (fields: object, message: string) =>
      void lines.push(JSON.stringify(mask({ fields, message })));
    const log = { debug: keep, info: keep, warn: keep, error: keep };
    const opened = openRedisLink(
      { home: await scratchHome(), searchPath, prefix: 't', url: url.replace('p4ss', 'hunter2') },
      log,
    );
    onTestFinished(() => opened.close());
    const failure = await opened.ready().then(
      () => undefined,
      (error: unknown) => error,
    );
    expect(failure).toMatchObject({ code: 'REDIS_UNAVAILABLE' });
    expect(lines.length).toBeGreaterThan(0);
    expect(JSON.stringify([lines, mask(failure)])).not.toContain('hunter2');
  });

  test('never shows its password', async () => {
    const opened = link(await scratchHome(), { url: 'redis://:hunter2@127.0.0.1:1' });
    expect(opened.address).not.toContain('hunter2');
    await expect(opened.ready()).rejects.toSatisfy((error) => !JSON.stringify(error).includes('hunter2'));
  });

  test.each([
    [['--appendonly', 'no'], 'appendonly is off'],
    [['--appendonly', 'yes', '--maxmemory-policy', 'allkeys-lru'], 'allkeys-lru'],
  ])('with %j is refused unless told otherwise', async (args, word) => {
    const { url } = await externalRedis(args);
    await expect(link(await scratchHome(), { url }).ready()).rejects.toMatchObject({
      code: 'REDIS_UNSAFE',
      message: expect.stringContaining(word),
    });
    await link(await scratchHome(), { url, allowUnsafe: true }).ready();
  });

  test('that is away makes a submit fail within about a second, with nothing accepted', async () => {
    const job = testJob(async () => ({ result: null }));
    const { engine, home } = await testEngine([job]);
    const away = link(home, { url: 'redis://127.0.0.1:1' });
    const before = performance.now();
    await expect(away.ready()).rejects.toMatchObject({ code: 'REDIS_UNAVAILABLE' });
    expect(performance.now() - before).toBeLessThan(2500);
    expect(engine.list()).toEqual([]);
  });

  test('on a port where something else answers is refused too', async () => {
    const other = createServer((socket) => socket.on('error', () => {}).end('SSH-2.0-no\r\n')).listen(
      0,
      '127.0.0.1',
    );
    onTestFinished(() => void other.close());
    await once(other, 'listening');
    const { port } = other.address() as { port: number };
    await expect(
      link(await scratchHome(), { url: `redis://127.0.0.1:${port}` }).ready(),
    ).rejects.toMatchObject({
      code: 'REDIS_UNAVAILABLE',
    });
  });
});

test('jobs that were queued when Redis was killed all run, once each', async () => {
  const runs: number[] = [];
  const counted = testJob(async (_context, { n }) => {
    runs.push(n);
    return { result: n };
  });
  const { engine, home, work } = await testEngine([counted]);
  const jobs = [];
  for (let n = 0; n < 30; n += 1) jobs.push(await engine.submit(counted, { n }, by));
  await work();
  process.kill(await pidOf(join(home, 'redis')), 'SIGKILL');
  const ended = await Promise.all(jobs.map((job) => engine.wait(job.id, { timeoutMs: 30_000 })));
  expect(ended.every((job) => job.state === 'succeeded')).toBe(true);
  expect(ended.map((job) => job.result)).toEqual(jobs.map((_, n) => n));
});
