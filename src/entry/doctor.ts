import { statSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { toDomainError } from '../domain/errors.ts';
import type { WorkerProcess } from '../domain/process.ts';
import { onTimeMs } from '../domain/schedule.ts';
import type { Storage } from '../domain/storage/storage.ts';
import { bytes } from '../workers/probes/probe.ts';
import type { Config } from './config.ts';
import type { Surroundings } from './ports.ts';

export interface Finding {
  name: string;
  status: 'ok' | 'warning' | 'error' | 'skipped';
  message: string;
  /** How to mend it. */
  hint?: string;
}

type Answer = Omit<Finding, 'name'>;

const ok = (message: string): Answer => ({ status: 'ok', message });
const warning = (message: string, hint: string): Answer => ({ status: 'warning', message, hint });
const bad = (message: string, hint: string): Answer => ({ status: 'error', message, hint });

function node(): Answer {
  const version = process.versions.node;
  const [major = 0] = version.split('.').map(Number);
  return major >= 24
    ? ok(version)
    : warning(
        `${version} works; 24 is what we test`,
        'Install Node 24, or run from a checkout after npm run setup.',
      );
}

function home(folder: string): Answer {
  const mode = statSync(folder).mode & 0o777;
  return (mode & 0o077) === 0
    ? ok(folder)
    : warning(`others may look into ${folder} (mode ${mode.toString(8)})`, `chmod 700 ${folder}`);
}

async function diskSpace(folder: string): Promise<Answer> {
  const { bavail, bsize } = await statfs(folder);
  const free = bavail * bsize;
  const message = `${bytes(free)} free`;
  if (free < 100 * 1024 ** 2) return bad(message, `Free some space where ${folder} is.`);
  return free < 1024 ** 3 ? warning(message, `Free some space where ${folder} is.`) : ok(message);
}

async function database(
  config: Config,
  folder: string,
  now: Date,
): Promise<{
  database: Answer;
  migrations: Answer;
  serve: Answer;
  installationId: string;
  newest: string | null;
}> {
  const [{ openStorage }, { migrationNames }] = await Promise.all([
    import('../domain/storage/storage.ts'),
    import('../domain/storage/migrations/index.ts'),
  ]);
  const file = config.database.path ?? join(folder, 'toolkit.db');
  const storage = await openStorage(file);
  try {
    const intact = await storage
      .em()
      .getConnection()
      .execute<{ quick_check: string }[]>('pragma quick_check(1)');
    const verdict = intact[0]?.quick_check;
    const newest = storage.read.jobs({ limit: 1 })[0]?.created_at ?? null;
    return {
      database:
        verdict === 'ok'
          ? ok(`${file} is intact`)
          : bad(`${file} is damaged: ${verdict}`, 'Restore it from a backup.'),
      migrations: ok(`up to date (${migrationNames.at(-1)})`),
      serve: unattended(storage, now),
      installationId: storage.installationId,
      newest,
    };
  } finally {
    await storage.close();
  }
}

/** Whether a process of this machine is there no more, however fresh its last word. */
function hasGone({ host, pid }: WorkerProcess): boolean {
  if (host !== hostname()) return false;
  try {
    process.kill(pid, 0);
    return false;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'ESRCH';
  }
}

/** Who runs jobs and schedules, by the heartbeats in the database. */
function unattended(storage: Storage, now: Date): Answer {
  const all = storage.read.processes(now);
  const some = (count: number) => `${count} schedule${count === 1 ? '' : 's'}`;
  const name = ({ kind, host, pid }: WorkerProcess) => `${kind} on ${host} (pid ${pid})`;
  const active = storage.read.schedules().filter((schedule) => schedule.paused === 0);
  const scheduled = active.length;
  const limit = new Date(now.getTime() - onTimeMs).toISOString();
  const overdue = active.filter(({ next_at: next }) => next !== null && next <= limit).length;
  const ahead = storage.read.schedulesAhead(new Date(now.getTime() + 3_600_000).toISOString());
  if (ahead.length > 0) {
    return bad(
      `the clock was ahead: slots are decided up to ${ahead[0]?.cursor}, of ${ahead.map(({ name: n }) => n).join(', ')}`,
      `Once the clock is right: msp-toolkit schedule pause ${ahead[0]?.name}, then resume it`,
    );
  }
  if (overdue > 0) {
    return bad(
      `${overdue} of ${some(scheduled)} overdue`,
      'Start, or start again: msp-toolkit serve. What was missed is told by: msp-toolkit schedule show NAME',
    );
  }
  const silent = all.filter((process) => !process.alive || hasGone(process));
  if (silent.length > 0) {
    return warning(
      `without a word since ${silent.map((process) => `${process.beatAt}: ${name(process)}`).join(', ')}`,
      'It was killed or its machine went down; its jobs were taken over. Start it again if it is missed.',
    );
  }
  const serving = all.filter((process) => process.kind === 'serve' && !silent.includes(process));
  if (serving.length > 0) return ok(`${serving.map(name).join(', ')}; ${some(scheduled)}`);
  return scheduled > 0
    ? warning(`nobody runs ${some(scheduled)}`, 'Start: msp-toolkit serve')
    : ok('not running; no schedules need it');
}

async function redis(
  around: Surroundings,
  installationId: string,
): Promise<{ redis: Answer; workers: Answer; skewMs: number | null }> {
  const [{ memoryProblem, openRedisLink, unsafeSettings }, { openQueues }, { redisSettings }] =
    await Promise.all([
      import('../jobs/engine/redis-link.ts'),
      import('../jobs/engine/queues.ts'),
      import('./redis-settings.ts'),
    ]);
  const settings = redisSettings(around.config, around.home, around.environment, installationId);
  const link = openRedisLink({ ...settings, allowUnsafe: true }, around.log);
  const queues = openQueues(link, around.log);
  try {
    await link.ready();
    const connection = link.connect();
    await new Promise((resolve) => connection.once('ready', resolve));
    const started = performance.now();
    for (let i = 0; i < 10; i += 1) await connection.ping();
    const latency = (performance.now() - started) / 10;
    const memory = await memoryProblem(connection);
    const problems = [...(await unsafeSettings(connection)), ...(memory ? [memory] : [])];
    const [seconds = 0, micros = 0] = (await connection.time()).map(Number);
    const skewMs = seconds * 1000 + micros / 1000 - around.clock.now().getTime();
    const where = `${link.embedded ? 'private' : 'external'}, ${link.address}, ${latency.toFixed(2)} ms`;
    const counts = await queues.workers();
    const idle = Object.entries(counts)
      .filter(([, n]) => n === 0)
      .map(([name]) => name);
    return {
      redis:
        problems.length > 0
          ? bad(
              `${where}: ${problems.join('; ')}`,
              'Set maxmemory-policy noeviction, appendonly yes, and enough maxmemory.',
            )
          : latency > 50
            ? warning(`${where}: slow`, 'Move Redis closer, or use the private one.')
            : ok(`${where}, persistent, evicts nothing`),
      workers:
        idle.length === 0
          ? ok(
              Object.entries(counts)
                .map(([name, n]) => `${name} ${n}`)
                .join(', '),
            )
          : warning(
              `nobody serves ${idle.join(', ')}`,
              'Start one with: msp-toolkit serve (single commands bring up their own)',
            ),
      skewMs,
    };
  } finally {
    await queues.close();
    await link.close();
  }
}

async function keyring(around: Surroundings): Promise<Answer> {
  const { keyringStore } = await import('../workers/credentials/keyring.ts');
  try {
    await keyringStore(`msp-toolkit:${around.home}`).list();
    return ok('the system keyring answers');
  } catch (error) {
    const reason = toDomainError(error).details['reason'];
    return warning(
      `no system keyring here (${String(reason)})`,
      'Secrets go to the encrypted file instead; that is usual on a server.',
    );
  }
}

async function smtp(around: Surroundings): Promise<Answer> {
  const [{ smtpMailer }, { openCredentials, smtpSettings }] = await Promise.all([
    import('../workers/mail/smtp.ts'),
    import('./ports.ts'),
  ]);
  const settings = smtpSettings(around.config, openCredentials(around));
  if (!settings)
    return {
      status: 'skipped',
      message: 'no mail server is configured',
      hint: 'Set mail.host to mail reports.',
    };
  await smtpMailer(settings).verify();
  return ok(`${settings.host}:${settings.port} answers`);
}

async function browser(around: Surroundings): Promise<Answer> {
  const [{ findBrowser }, { browserSettings }] = await Promise.all([
    import('../workers/report/browser.ts'),
    import('./ports.ts'),
  ]);
  return ok(await findBrowser(browserSettings(around)));
}

function clock(newest: string | null, skewMs: number | null, now: Date): Answer {
  if (newest !== null && Date.parse(newest) > now.getTime() + 1000) {
    return bad(
      `the newest job is from ${newest}, which is yet to come`,
      'Set the clock, for example with: timedatectl set-ntp true',
    );
  }
  if (skewMs !== null && Math.abs(skewMs) > 1000) {
    return warning(`it differs from Redis by ${Math.round(skewMs)} ms`, 'Let both machines follow NTP.');
  }
  return ok(now.toISOString());
}

/** Looks at everything the product stands on. Each part is looked at, whatever is wrong with the others. */
export async function examine(around: Surroundings): Promise<Finding[]> {
  const findings: Finding[] = [];
  async function look<T>(
    name: string,
    work: () => Promise<T> | T,
    others: string[] = [],
  ): Promise<T | undefined> {
    try {
      return await work();
    } catch (error) {
      const known = toDomainError(error);
      findings.push({ name, ...bad(known.message, known.hint ?? 'See the log with --log-level debug.') });
      for (const other of others) findings.push({ name: other, status: 'skipped', message: `needs ${name}` });
      return undefined;
    }
  }
  const add = (name: string, answer: Answer | undefined) => {
    if (answer) findings.push({ name, ...answer });
  };

  add('node', node());
  add('home', await look('home', () => home(around.home)));
  add('disk space', await look('disk space', () => diskSpace(around.home)));
  const data = await look('database', () => database(around.config, around.home, around.clock.now()), [
    'migrations',
    'serve',
  ]);
  add('database', data?.database);
  add('migrations', data?.migrations);
  add('serve', data?.serve);
  const queue = await look('redis', () => redis(around, data?.installationId ?? 'doctor'), ['workers']);
  add('redis', queue?.redis);
  add('workers', queue?.workers);
  add('browser', await look('browser', () => browser(around)));
  add('keyring', await keyring(around));
  add('mail', await look('mail', () => smtp(around)));
  add('clock', clock(data?.newest ?? null, queue?.skewMs ?? null, around.clock.now()));
  return findings;
}
