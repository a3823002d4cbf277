import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { systemClock } from '../../../src/domain/clock.ts';
import { silentLog } from '../../../src/domain/log.ts';
import { openStorage, type Storage } from '../../../src/domain/storage/storage.ts';
import { type Engine, openEngine } from '../../../src/jobs/engine/engine.ts';
import { scratchHome } from '../../support/home.ts';
import { type Chance, full, History } from './fault.ts';
import { faultRegistry } from './jobs.ts';

/** A home with an engine of the fault table's jobs, and workers in processes of their own. */
export interface World {
  home: string;
  storage: Storage;
  engine: Engine;
  history: History;
  /** Starts a worker process and answers once it takes jobs. */
  worker(clocks?: 'fast' | 'default'): Promise<ChildProcess>;
  /** How often each job has had its effect, by job id. */
  effects(action?: string): Map<string, number>;
}

export async function world(redisUrl = '', at?: string): Promise<World> {
  const home = at ?? (await scratchHome());
  const storage = await openStorage(join(home, 'toolkit.db'));
  const searchPath = process.env['PATH'] ?? '';
  const engine = openEngine({
    storage,
    redis: { home, searchPath, prefix: 'faults', ...(redisUrl ? { url: redisUrl, allowUnsafe: true } : {}) },
    registry: faultRegistry,
    clock: systemClock,
    log: silentLog,
  });
  onTestFinished(async () => {
    await engine.close();
    await storage.close();
    await rm(`${home}.history.jsonl`, { force: true });
  });
  return {
    home,
    storage,
    engine,
    // Beside the home, not in it: faults fill and forbid what is in there.
    history: new History(`${home}.history.jsonl`),
    async worker(clocks = full ? 'default' : 'fast') {
      return startProcess(join(import.meta.dirname, 'engine-worker.ts'), [home, redisUrl, clocks]);
    },
    effects(action = 'effect') {
      return countBy(storage.read.auditSubjects('fault', action));
    },
  };
}

/** Starts a script that says a line once it is ready. */
export async function startProcess(script: string, args: string[]): Promise<ChildProcess> {
  const child = spawn(process.execPath, ['--trace-warnings', script, ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  await Promise.race([once(child.stdout, 'data'), once(child, 'exit')]);
  return child;
}

export function countBy(list: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const entry of list) counts.set(entry, (counts.get(entry) ?? 0) + 1);
  return counts;
}

export async function killed(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGKILL');
  await once(child, 'exit');
}

/** Keeps so many workers alive, whatever becomes of them, as a service manager would. */
export async function supervised(count: number, start: () => Promise<ChildProcess>) {
  const children = new Set<ChildProcess>();
  let stopping = false;
  let starts = 0;
  async function keepOne(): Promise<void> {
    const child = await start();
    starts += 1;
    children.add(child);
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
    children.delete(child);
    if (!stopping) await keepOne();
  }
  const kept: Promise<void>[] = [];
  async function stop(): Promise<void> {
    stopping = true;
    for (const child of children) child.kill('SIGKILL');
    await Promise.allSettled(kept);
  }
  onTestFinished(stop);
  for (let n = 0; n < count; n += 1) kept.push(keepOne());
  while (children.size < count) await new Promise((resolve) => setTimeout(resolve, 20));
  return {
    starts: () => starts,
    /** Kills one of them without a word; answers with the name it ran under. */
    kill(chance: Chance): string | undefined {
      const alive = [...children].filter((child) => child.exitCode === null && child.signalCode === null);
      if (alive.length === 0) return undefined;
      const child = chance.pick(alive);
      child.kill('SIGKILL');
      return `${hostname()}:${child.pid}`;
    },
    stop,
  };
}
