import { spawn } from 'node:child_process';
import {
  accessSync,
  constants,
  existsSync,
  openSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  writeFileSync,
} from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { connect } from 'node:net';
import { delimiter, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { DomainError } from '../../domain/errors.ts';
import { withFileLock } from '../../domain/storage/lock.ts';

/** The longest path that fits into sockaddr_un on every platform (macOS: 104 bytes with the closing NUL). */
const longestSocketPath = 103;

/**
 * Starts Redis (or watches the one whose number it is given) and ends it once nobody has been connected for a while.
 * A shell of its own does this, so that Redis outlives the process that needed it first, takes no Ctrl-C meant for that
 * process, and is left behind by none, not even one that is killed or whose home is deleted.
 */
const keeper = `
if [ -n "$4" ]; then
  redis=$4
else
  "$1" "$2/redis.conf" &
  redis=$!
fi
echo $$ >"$2/keeper.pid"
idle=0
while kill -0 $redis 2>/dev/null; do
  sleep 1
  if clients=$("\${1%-server}-cli" -s "$2/redis.sock" client list 2>/dev/null); then
    if [ "$(echo "$clients" | grep -c ' cmd=')" -gt 1 ]; then idle=0; else idle=$((idle + 1)); fi
  elif [ ! -S "$2/redis.sock" ]; then
    idle=$((idle + 1))
  fi
  if [ "$idle" -ge "$3" ]; then
    kill -TERM $redis 2>/dev/null
    [ -n "$4" ] || wait $redis
    exit
  fi
done
`;

export interface EmbeddedRedisOptions {
  /** The folder that holds its socket, data and log. */
  folder: string;
  /** Folders to look for redis-server in, as in PATH. */
  searchPath: string;
  /** Seconds without any connection after which it ends. */
  idleSeconds?: number;
}

export function socketPath(folder: string): string {
  return join(folder, 'redis.sock');
}

/** The redis-server (or valkey-server) to run. Throws REDIS_MISSING. */
export function findRedisBinary(searchPath: string): string {
  for (const name of ['redis-server', 'valkey-server']) {
    for (const folder of searchPath.split(delimiter)) {
      const candidate = join(folder, name);
      try {
        accessSync(candidate, constants.X_OK);
        return candidate;
      } catch {
        // Not in this folder.
      }
    }
  }
  throw new DomainError('REDIS_MISSING', 'redis-server is not installed.', {
    hint: 'Install it (Debian: apt-get install redis-server), or name a Redis of your own in redis.url.',
  });
}

type Answer = 'ready' | 'loading' | 'absent' | 'foreign';

function listens(socket: string): Promise<boolean> {
  return new Promise((resolve) => {
    const connection = connect(socket);
    connection.once('connect', () => {
      connection.destroy();
      resolve(true);
    });
    connection.once('error', () => resolve(false));
  });
}

/** Who is there. A server of another kind breaks the connection off or answers nothing that makes sense. */
async function ask(socket: string): Promise<Answer> {
  if (!(await listens(socket))) return 'absent';
  const connection = new Redis({
    path: socket,
    lazyConnect: true,
    retryStrategy: () => null,
    connectTimeout: 1000,
    commandTimeout: 1000,
    enableReadyCheck: false,
  });
  connection.on('error', () => {});
  try {
    await connection.connect();
    await connection.ping();
    return 'ready';
  } catch (error) {
    return error instanceof Error && error.message.startsWith('LOADING') ? 'loading' : 'foreign';
  } finally {
    connection.disconnect();
  }
}

function pidIn(file: string): number | undefined {
  try {
    const pid = Number(readFileSync(file, 'utf8'));
    process.kill(pid, 0);
    return pid;
  } catch {
    return undefined;
  }
}

/**
 * The server of this folder, if it runs. The number in its file may have gone to another process since, even to
 * another home's server; where /proc can't tell, a living one is believed.
 */
function runningPid(folder: string): number | undefined {
  const pid = pidIn(join(folder, 'redis.pid'));
  if (pid === undefined || !existsSync('/proc/self')) return pid;
  try {
    // A zombie has no working directory any more.
    return readlinkSync(`/proc/${pid}/cwd`) === realpathSync(folder) ? pid : undefined;
  } catch {
    return undefined;
  }
}

function configuration(folder: string): string {
  const settings: [string, string][] = [
    ['port', '0'],
    ['unixsocket', socketPath(folder)],
    ['unixsocketperm', '700'],
    ['dir', folder],
    ['pidfile', join(folder, 'redis.pid')],
    ['logfile', join(folder, 'redis.log')],
    ['daemonize', 'no'],
    ['save', ''],
    ['appendonly', 'yes'],
    ['appendfsync', 'always'],
    ['maxmemory-policy', 'noeviction'],
  ];
  return settings.map(([key, value]) => `${key} ${JSON.stringify(value)}\n`).join('');
}

/**
 * Makes sure that the private Redis of this home runs, and returns its socket. Any number of processes may call
 * this at once; one of them starts it.
 *
 * Throws HOME_PATH_TOO_LONG, REDIS_MISSING, REDIS_SOCKET_IN_USE or REDIS_UNAVAILABLE.
 */
export async function ensureEmbeddedRedis(options: EmbeddedRedisOptions): Promise<string> {
  const { folder } = options;
  const socket = socketPath(folder);
  if (Buffer.byteLength(socket) > longestSocketPath) {
    throw new DomainError('HOME_PATH_TOO_LONG', `The path ${socket} is too long for a unix socket.`, {
      details: { path: socket, bytes: Buffer.byteLength(socket), longest: longestSocketPath },
      hint: 'Choose a shorter home with MSP_HOME, or name a Redis of your own in redis.url.',
    });
  }
  if ((await ask(socket)) === 'ready' && pidIn(join(folder, 'keeper.pid'))) return socket;
  const binary = findRedisBinary(options.searchPath);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await withFileLock(
    join(folder, 'start.lock'),
    async () => {
      let answer = await ask(socket);
      if (answer === 'foreign') {
        // It may be a Redis that was just ending.
        await delay(200);
        answer = await ask(socket);
      }
      const running = runningPid(folder);
      if (answer === 'foreign' && running === undefined) {
        throw new DomainError('REDIS_SOCKET_IN_USE', `Something other than Redis listens on ${socket}.`, {
          hint: 'End that program, or choose another home with MSP_HOME.',
        });
      }
      // A server that loads a long journal, or hangs, must not get a second one on the same files.
      if (running === undefined || !pidIn(join(folder, 'keeper.pid'))) startKeeper(binary, options, running);
      if (answer !== 'ready') await untilReady(folder, socket, running === undefined ? 15_000 : 2000);
    },
    20_000,
  );
  return socket;
}

function startKeeper(binary: string, options: EmbeddedRedisOptions, running: number | undefined): void {
  const { folder } = options;
  writeFileSync(join(folder, 'redis.conf'), configuration(folder), { mode: 0o600 });
  const output = openSync(join(folder, 'keeper.log'), 'w', 0o600);
  const words = [
    binary,
    folder,
    String(options.idleSeconds ?? 10),
    running === undefined ? '' : String(running),
  ];
  spawn('/bin/sh', ['-c', keeper, 'redis-keeper', ...words], {
    detached: true,
    cwd: folder,
    stdio: ['ignore', output, output],
    env: { PATH: options.searchPath },
  }).unref();
}

/** A server that reads its journal says so and is given the time; one that says nothing gets `silentMs`. */
async function untilReady(folder: string, socket: string, silentMs: number): Promise<void> {
  let deadline = performance.now() + silentMs;
  while (performance.now() < deadline) {
    const answer = await ask(socket);
    if (answer === 'ready') return;
    if (answer === 'loading') deadline = performance.now() + silentMs;
    await delay(20);
  }
  const log = join(folder, 'redis.log');
  throw new DomainError('REDIS_UNAVAILABLE', `The private Redis has not answered for ${silentMs / 1000} s.`, {
    details: { log },
    hint: `Its own words are in ${log}.`,
  });
}

/** Ends the private Redis of this home at once, if it runs. What it holds is on disk. */
export async function stopEmbeddedRedis(folder: string): Promise<void> {
  const pid = runningPid(folder);
  if (pid === undefined) return;
  process.kill(pid, 'SIGTERM');
  const deadline = performance.now() + 5000;
  while (runningPid(folder) !== undefined && performance.now() < deadline) await delay(20);
}
