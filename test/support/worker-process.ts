import { openToolkit } from '../../src/entry/toolkit.ts';
import { fastClocks } from './clocks.ts';

// A worker in a process of its own, which a test may kill. Rescue takes seconds here instead of tens of them.
const [home = '', config = '{}', clocks = 'fast'] = process.argv.slice(2);
const toolkit = await openToolkit({
  home,
  config: JSON.parse(config),
  environment: { PATH: process.env['PATH'] },
  ...(clocks === 'fast' ? { clocks: fastClocks } : {}),
});
await toolkit.startWorkers();
process.stdout.write('ready\n');
process.on('SIGTERM', () => void toolkit.close(2000).then(() => process.exit(0)));
