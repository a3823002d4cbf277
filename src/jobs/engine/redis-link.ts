import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { RedisOptions, Telemetry } from 'bullmq';
import { Redis } from 'ioredis';
import { DomainError } from '../../domain/errors.ts';
import type { Log } from '../../domain/log.ts';
import { ensureEmbeddedRedis, socketPath, stopEmbeddedRedis } from './embedded-redis.ts';

export interface RedisSettings {
  /** redis:// or rediss://; absent for the embedded one. */
  url?: string | undefined;
  /** Run although the server may evict or forget; for tests and experiments. */
  allowUnsafe?: boolean | undefined;
  /** Home folder; the embedded Redis lives in `redis` below it. */
  home: string;
  /** Where redis-server is looked for. */
  searchPath: string;
  /** Keeps two installations apart in one Redis. */
  prefix: string;
  /** The database whose jobs these are; absent for a worker that has none. */
  installationId?: string | undefined;
  /** Traces what goes through the queues. */
  telemetry?: Telemetry | undefined;
}

/** The way to Redis: connections for each use, and the care for the embedded server. */
export interface RedisLink {
  readonly prefix: string;
  readonly embedded: boolean;
  readonly telemetry: Telemetry | undefined;
  /** Where it is, without any password. */
  readonly address: string;
  /** Connection options for BullMQ: workers wait for ever, producers fail fast. */
  options(use: 'worker' | 'producer'): RedisOptions;
  /** A connection of the caller's own to issue commands on; fails fast. */
  connect(): Redis;
  /** Replaces connections that have gone silent. */
  renew(): void;
  /** Throws REDIS_UNAVAILABLE, REDIS_UNSAFE, REDIS_FOREIGN or what the embedded server fails with, within about a second. */
  ready(): Promise<void>;
  close(): Promise<void>;
  /** Ends the embedded server; for the owner of a scratch home. */
  stopServer(): Promise<void>;
}

/** How long whoever asks for something waits for an answer, in ms: a second at most, with what is around it. */
export const promptMs = 900;

/**
 * How long a worker waits for an answer before it takes its connection for dead, in ms; a network that swallows packets
 * never says so. BullMQ blocks for up to 10 s by itself.
 */
const silentMs = 15_000;

/** Which settings of a server could lose jobs, in words. */
export async function unsafeSettings(connection: Redis): Promise<string[]> {
  const problems: string[] = [];
  const info = await connection.info();
  const value = (key: string) => new RegExp(`^${key}:(.*)$`, 'm').exec(info)?.[1]?.trim();
  const policy = value('maxmemory_policy');
  if (policy !== 'noeviction')
    problems.push(`maxmemory-policy is ${policy}: jobs would be evicted when memory is short`);
  if (value('aof_enabled') !== '1') problems.push('appendonly is off: jobs would be lost in a crash');
  return problems;
}

/** A server whose memory is nearly used up takes no more jobs; those it has are still worked off. */
export async function memoryProblem(connection: Redis): Promise<string | undefined> {
  const info = await connection.info('memory');
  const value = (key: string) => Number(new RegExp(`^${key}:(\\d+)`, 'm').exec(info)?.[1]);
  const [used, most] = [value('used_memory'), value('maxmemory')];
  if (!(most > 0) || used <= 0.9 * most) return undefined;
  return `${Math.round((100 * used) / most)} % of its memory is used: soon no more jobs can be handed over`;
}

function withoutPassword(url: string): string {
  const parsed = new URL(url);
  if (parsed.password) parsed.password = '***';
  return parsed.toString();
}

/** Makes the link; connects only when asked to. */
export function openRedisLink(settings: RedisSettings, log: Log): RedisLink {
  const folder = join(settings.home, 'redis');
  const address = settings.url ? withoutPassword(settings.url) : socketPath(folder);
  const target: RedisOptions = settings.url ? urlOptions(settings.url) : { path: socketPath(folder) };
  const open = new Set<Redis>();
  let closed = false;
  let reviving: Promise<unknown> | undefined;
  let watch: Redis | undefined;
  let trusted = false;
  let ours = false;

  /** Starts the embedded server again when it has gone while we still need it. */
  function revive(): void {
    if (closed || settings.url || reviving) return;
    reviving = ensureEmbeddedRedis({ folder, searchPath: settings.searchPath })
      .then(() => log.debug({ address }, 'The private Redis is there'))
      .catch((error: unknown) => log.error({ err: error }, 'The private Redis could not be started again'))
      .finally(() => {
        reviving = undefined;
      });
  }

  function track(connection: Redis): Redis {
    open.add(connection);
    connection.setMaxListeners(0);
    connection.on('error', (error) => log.debug({ err: error }, 'Redis connection error'));
    connection.on('close', revive);
    connection.once('end', () => open.delete(connection));
    return connection;
  }

  function options(use: 'worker' | 'producer'): RedisOptions {
    return {
      ...target,
      retryStrategy: (times) => (closed ? null : Math.min(50 * times, 1000)),
      ...(use === 'worker'
        ? { maxRetriesPerRequest: null, socketTimeout: silentMs }
        : { maxRetriesPerRequest: 1, enableOfflineQueue: false, connectTimeout: 1000, socketTimeout: 5000 }),
    };
  }

  /** Rejects unless the server answers within a second. */
  async function answer(connection: Redis): Promise<void> {
    const limit = AbortSignal.timeout(promptMs);
    const late = once(limit, 'abort').then(() =>
      Promise.reject(new Error(`no answer within ${promptMs} ms`)),
    );
    late.catch(() => {});
    if (connection.status !== 'ready')
      await Promise.race([once(connection, 'ready', { signal: limit }), late]);
    await Promise.race([connection.ping(), late]);
  }

  function unavailable(error: unknown): DomainError {
    return new DomainError('REDIS_UNAVAILABLE', `Redis at ${address} does not answer.`, {
      details: { address, reason: error instanceof Error ? error.message : String(error) },
      hint: settings.url ? 'Check redis.url and that the server runs.' : 'Run: msp-toolkit doctor',
      cause: error,
    });
  }

  async function assertSafe(connection: Redis): Promise<void> {
    if (trusted || !settings.url || settings.allowUnsafe) return;
    const problems = await unsafeSettings(connection);
    if (problems.length > 0) {
      throw new DomainError('REDIS_UNSAFE', `Redis at ${address} could lose jobs: ${problems.join('; ')}.`, {
        details: { address, problems },
        hint: 'Set maxmemory-policy noeviction and appendonly yes there, or redis.allowUnsafe to go on all the same.',
      });
    }
    trusted = true;
  }

  /** Two databases behind one set of queues would each take the other's jobs for ended ones. */
  async function assertOurs(connection: Redis): Promise<void> {
    if (ours || !settings.url || !settings.installationId) return;
    const key = `${settings.prefix}:database`;
    await connection.set(key, settings.installationId, 'NX');
    const owner = await connection.get(key);
    if (owner !== settings.installationId) {
      throw new DomainError(
        'REDIS_FOREIGN',
        `The queues ${settings.prefix} at ${address} belong to another database.`,
        {
          details: { address, prefix: settings.prefix },
          hint: `Choose another redis.prefix; to lend a hand there, run: msp-toolkit worker --queues probe. If that database is gone for good, delete the key ${key} in Redis.`,
        },
      );
    }
    ours = true;
  }

  return {
    prefix: settings.prefix,
    embedded: !settings.url,
    telemetry: settings.telemetry,
    address,
    options,
    connect: () => track(new Redis(options('producer'))),
    renew() {
      for (const connection of open) connection.disconnect(true);
    },
    async ready() {
      try {
        if (watch?.status === 'ready') await answer(watch);
      } catch (error) {
        // A socket that has gone silent would stay so. A server of our own may have ended and can be started again.
        watch?.disconnect(true);
        if (settings.url) throw unavailable(error);
      }
      if (watch?.status !== 'ready') {
        if (!settings.url) await ensureEmbeddedRedis({ folder, searchPath: settings.searchPath });
        watch ??= track(new Redis(options('producer')));
        await answer(watch).catch((error: unknown) => Promise.reject(unavailable(error)));
      }
      await assertSafe(watch);
      await assertOurs(watch);
    },
    async close() {
      closed = true;
      await Promise.race([reviving, delay(1000, undefined, { ref: false })]);
      for (const connection of open) connection.disconnect();
    },
    async stopServer() {
      if (!settings.url) await stopEmbeddedRedis(folder);
    },
  };
}

function urlOptions(url: string): RedisOptions {
  const parsed = new URL(url);
  return {
    host: parsed.hostname.replace(/^\[|\]$/g, ''),
    port: Number(parsed.port || 6379),
    ...(parsed.username ? { username: decodeURIComponent(parsed.username) } : {}),
    ...(parsed.password ? { password: decodeURIComponent(parsed.password) } : {}),
    ...(parsed.pathname.length > 1 ? { db: Number(parsed.pathname.slice(1)) } : {}),
    ...(parsed.protocol === 'rediss:' ? { tls: {} } : {}),
  };
}
