import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { z } from 'zod';
import { thresholdsSchema } from '../../src/domain/check.ts';
import { systemClock } from '../../src/domain/clock.ts';
import { silentLog } from '../../src/domain/log.ts';
import type { Ports } from '../../src/domain/ports.ts';
import type { Settings } from '../../src/domain/settings.ts';
import { openStorage, type Storage } from '../../src/domain/storage/storage.ts';
import {
  type ChildDefinition,
  createRegistry,
  defineJob,
  type JobContext,
  type JobDefinition,
  type Outcome,
} from '../../src/jobs/engine/define.ts';
import { type Engine, openEngine } from '../../src/jobs/engine/engine.ts';
import { type RunningWorkers, startWorkers } from '../../src/workers/worker.ts';
import { fastClocks } from './clocks.ts';
import { scratchHome } from './home.ts';

const settings: Settings = {
  companyName: 'Test MSP',
  timezone: 'UTC',
  thresholds: thresholdsSchema.parse({}),
  networkTargets: [],
  probeBatch: 2,
  uncertainMail: 'resend',
  mailFrom: 'reports@msp.example',
};

export interface TestEngine {
  home: string;
  storage: Storage;
  engine: Engine;
  /** A second process's view: its own connections to the same database and Redis. */
  another(): Promise<Engine>;
  work(options?: { engine?: Engine; ports?: Partial<Ports> }): Promise<RunningWorkers>;
}

/** An engine that knows the given job types, on a home of its own. */
export async function testEngine(definitions: (JobDefinition | ChildDefinition)[]): Promise<TestEngine> {
  const home = await scratchHome();
  const registry = createRegistry(definitions);
  const file = join(home, 'toolkit.db');
  const open = async () => {
    const storage = await openStorage(file);
    const redis = { home, searchPath: process.env['PATH'] ?? '', prefix: `t-${storage.installationId}` };
    const engine = openEngine({ storage, redis, registry, clock: systemClock, log: silentLog });
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
        clock: systemClock,
        log: silentLog,
        ports: ports as Ports,
        settings,
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

export const by = { requestedBy: 'test' };
