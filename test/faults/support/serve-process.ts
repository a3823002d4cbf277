// A whole serve whose clocks can be set.
await import('./shifted-clock.ts');
const { openToolkit } = await import('../../../src/entry/toolkit.ts');
const { fastClocks } = await import('../../support/clocks.ts');

const [home = ''] = process.argv.slice(2);
const toolkit = await openToolkit({
  home,
  config: {},
  environment: { PATH: process.env['PATH'] },
  clocks: fastClocks,
  kind: 'serve',
});
await toolkit.startWorkers({ queues: ['general', 'probe'] });
await toolkit.startScheduler({ clocks: { sweepMs: 100, reconcileMs: 500, tidyMs: 60_000 } });
process.stdout.write('ready\n');
process.on('SIGTERM', () => void toolkit.close(2000).then(() => process.exit(0)));
