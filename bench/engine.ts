import { join } from 'node:path';
import { z } from 'zod';
import { systemClock } from '../src/domain/clock.ts';
import { silentLog } from '../src/domain/log.ts';
import type { Ports } from '../src/domain/ports.ts';
import type { Settings } from '../src/domain/settings.ts';
import { openStorage } from '../src/domain/storage/storage.ts';
import { createRegistry, defineJob, type JobDefinition } from '../src/jobs/engine/define.ts';
import { openEngine } from '../src/jobs/engine/engine.ts';
import { startWorkers } from '../src/workers/worker.ts';

const policy = {
  queue: 'general',
  result: z.null(),
  attempts: 2,
  backoffMs: 100,
  timeoutMs: 60_000,
} as const;

/** A job that does nothing, so that what is measured is the engine. */
export const empty = defineJob({ ...policy, type: 'bench.empty', payload: z.object({}) }, async () => ({
  result: null,
}));

/** A job that never ends by itself. */
export const endless = defineJob(
  { ...policy, type: 'bench.endless', payload: z.object({}) },
  async ({ signal }) => new Promise((_, reject) => signal.addEventListener('abort', reject)),
);

/** An engine that knows these two, on a database of its own in `home`, whose Redis it shares. */
export async function benchEngine(home: string, name: string) {
  const storage = await openStorage(join(home, `${name}.db`));
  const registry = createRegistry([empty, endless] as unknown as JobDefinition[]);
  const redis = { home, searchPath: process.env['PATH'] ?? '', prefix: name };
  const engine = openEngine({ storage, redis, registry, clock: systemClock, log: silentLog });
  await engine.link.ready();
  return {
    engine,
    storage,
    work: () =>
      startWorkers({
        link: engine.link,
        registry,
        engine,
        clock: systemClock,
        log: silentLog,
        ports: {} as Ports,
        settings: {} as Settings,
        queues: ['general'],
        name: `bench:${process.pid}`,
      }),
    async close(): Promise<void> {
      await engine.close();
      await storage.close();
    },
  };
}
