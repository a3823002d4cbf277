import { hostname } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../../../src/domain/clock.ts';
import { silentLog } from '../../../src/domain/log.ts';
import type { Ports } from '../../../src/domain/ports.ts';
import { openStorage } from '../../../src/domain/storage/storage.ts';
import { openEngine } from '../../../src/jobs/engine/engine.ts';
import { defaultRescueClocks, startWorkers } from '../../../src/workers/worker.ts';
import { fastClocks } from '../../support/clocks.ts';
import { plainSettings } from '../../support/settings.ts';
import { faultRegistry } from './jobs.ts';

// Workers for the jobs of the fault table, in a process of their own that may be killed, stopped or starved.
const [home = '', redisUrl = '', clocks = 'fast'] = process.argv.slice(2);
const storage = await openStorage(join(home, 'toolkit.db'));
const engine = openEngine({
  storage,
  redis: {
    home,
    searchPath: process.env['PATH'] ?? '',
    prefix: 'faults',
    ...(redisUrl ? { url: redisUrl, allowUnsafe: true } : {}),
  },
  registry: faultRegistry,
  clock: systemClock,
  log: silentLog,
});
const workers = await startWorkers({
  link: engine.link,
  registry: faultRegistry,
  engine,
  clock: systemClock,
  log: silentLog,
  ports: {} as Ports,
  settings: plainSettings,
  queues: ['general'],
  clocks: clocks === 'fast' ? fastClocks : defaultRescueClocks,
  name: `${hostname()}:${process.pid}`,
});
process.stdout.write('ready\n');
process.on('SIGTERM', async () => {
  await workers.close(2000);
  await engine.close();
  await storage.close();
  process.exit(0);
});
