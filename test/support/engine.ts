import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { z } from 'zod';
import { type Clock, systemClock } from '../../src/domain/clock.ts';
import { silentLog } from '../../src/domain/log.ts';
import type { Ports } from '../../src/domain/ports.ts';
import { openStorage, type Storage } from '../../src/domain/storage/storage.ts';
import {
  type ChildDefinition,
  createRegistry,
  defineJob,
  type JobContext,
  type JobDefinition,
  type JobLimits,
  type Outcome,
} from '../../src/jobs/engine/define.ts';
import { type Engine, openEngine } from '../../src/jobs/engine/engine.ts';
import { type RunningWorkers, startWorkers } from '../../src/workers/worker.ts';
import { fastClocks } from './clocks.ts';
import { scratchHome } from './home.ts';
import { plainSettings } from './settings.ts';

export interface TestEngine {
  home: string;
  storage: Storage;
  engine: Engine;
  /** A second process's view: its own connections to the same database and Redis. */
  another(): Promise<Engine>;
  work(options?: { engine?: Engine; ports?: Partial<Ports> }): Promise<RunningWorkers>;
}

/** An engine that knows the given job types, on a home of its own. */
export async function testEngine(
  definitions: (JobDefinition | ChildDefinition)[],
  {
    clock = systemClock,
    limits = {},
    searchPath = process.env['PATH'] ?? '',
  }: { clock?: Clock; limits?: Record<string, JobLimits>; searchPath?: string } = {},
): Promise<TestEngine> {
  const home = await scratchHome();
  const registry = createRegistry(definitions);
  const file = join(home, 'toolkit.db');
  const open = async () => {
    const storage = await openStorage(file);
    const redis = { home, searchPath, prefix: `t-${storage.installationId}` };
    const engine = openEngine({ storage, redis, registry, clock, log: silentLog, limits });
    onTestFinished(async () => {
      await engine.close();
      await storage.close();
    });
    return { storage, engine };
  };
  const { storage, engine } = await open();
  return {
    home,
    storage,
    engine,
    another: async () => (await open()).engine,
    async work({ engine: at = engine, ports = {} } = {}) {
      const workers = await startWorkers({
        link: at.link,
        registry,
        engine: at,
        clock,
        log: silentLog,
        ports: ports as Ports,
        settings: plainSettings,
        queues: ['general', 'probe', 'render', 'mail'],
        clocks: fastClocks,
        name: 'test',
      });
      onTestFinished(() => workers.close(100));
      return workers;
    },
  };
}

/** A job type of the test's own, whose handler is given. */
export function testJob(
  run: (context: JobContext, payload: { n: number }) => Promise<Outcome<unknown>>,
  policy: Partial<Pick<JobDefinition, 'attempts' | 'backoffMs' | 'timeoutMs' | 'type' | 'queue'>> = {},
): JobDefinition {
  return defineJob(
    {
      type: 'test.job',
      queue: 'general',
      attempts: 3,
      backoffMs: 20,
      timeoutMs: 30_000,
      payload: z.strictObject({ n: z.number().default(0) }),
      result: z.unknown(),
      ...policy,
    },
    run,
  ) as unknown as JobDefinition;
}

/** A clock that stands where it is put. */
export function handClock(start: string): Clock & { set(at: string): void } {
  let at = new Date(start);
  return {
    now: () => at,
    set(next) {
      at = new Date(next);
    },
  };
}

export const by = { requestedBy: 'test' };
