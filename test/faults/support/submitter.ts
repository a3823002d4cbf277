import { join } from 'node:path';
import { systemClock } from '../../../src/domain/clock.ts';
import { silentLog } from '../../../src/domain/log.ts';
import { openStorage } from '../../../src/domain/storage/storage.ts';
import { openEngine } from '../../../src/jobs/engine/engine.ts';
import { History } from './fault.ts';
import { faultRegistry, work } from './jobs.ts';

// Submits on and on, several at once, and notes each that was acknowledged, until it is killed.
const [home = '', historyFile = ''] = process.argv.slice(2);
const storage = await openStorage(join(home, 'toolkit.db'));
const engine = openEngine({
  storage,
  redis: { home, searchPath: process.env['PATH'] ?? '', prefix: 'faults' },
  registry: faultRegistry,
  clock: systemClock,
  log: silentLog,
});
const history = new History(historyFile);
engine.relay.start({ pollMs: 20, reconcileMs: 5000 });
process.stdout.write('ready\n');
await Promise.all(
  Array.from({ length: 4 }, async (_, clientId) => {
    for (;;) {
      const { id } = await engine.submit(work, { clientId: `c-${clientId}` }, { requestedBy: 'submitter' });
      history.note('ack', id);
    }
  }),
);
