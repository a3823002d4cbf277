import { once } from 'node:events';
import { DomainError } from '../../domain/errors.ts';
import type { QueueName } from '../../jobs/engine/define.ts';
import { action, type CommandContext } from './context.ts';
import { positiveInteger } from './options.ts';
import type { Register } from './program.ts';

/** How long jobs may go on after SIGTERM before they go back to the queue, in ms. */
const drainMs = 20_000;

async function untilStopped(context: CommandContext): Promise<void> {
  if (!context.signal.aborted) {
    // The open Redis connections keep the process alive meanwhile.
    await once(context.signal, 'abort');
  }
  context.output.note('Stopping: no more jobs are taken. A second signal stops at once.');
}

/** A worker that has no database of its own: it measures, and answers through Redis. */
async function probeAlone(context: CommandContext, concurrency: number | undefined): Promise<void> {
  const [
    { loadConfig },
    { openHome },
    { openPorts, settingsOf },
    { openRedisLink },
    { startWorkers },
    { redisSettings },
    clock,
    { registry },
  ] = await Promise.all([
    import('../config.ts'),
    import('../home.ts'),
    import('../ports.ts'),
    import('../../jobs/engine/redis-link.ts'),
    import('../../workers/worker.ts'),
    import('../redis-settings.ts'),
    import('../../domain/clock.ts'),
    import('../../jobs/registry.ts'),
  ]);
  const { environment, options } = context;
  const home = openHome(environment);
  const { config } = await loadConfig({ home, cwd: process.cwd(), environment, file: options.config });
  const log = await context.log('info');
  const link = openRedisLink(redisSettings(config, home, environment, ''), log);
  const outside = openPorts({ home, config, environment, clock: clock.systemClock, log }, undefined);
  const workers = await startWorkers({
    link,
    registry,
    clock: clock.systemClock,
    log,
    ports: outside.ports,
    settings: settingsOf(config),
    queues: ['probe'],
    concurrency: concurrency ? { probe: concurrency } : undefined,
    name: `${(await import('node:os')).hostname()}:${process.pid}`,
  });
  context.output.note('Running the queue probe, without a database.');
  await untilStopped(context);
  await workers.close(drainMs);
  await outside.close();
  await link.close();
}

async function run(
  context: CommandContext,
  queues: QueueName[] | undefined,
  concurrency: number | undefined,
): Promise<void> {
  const toolkit = await context.toolkit({ level: 'info' });
  const each = concurrency
    ? Object.fromEntries((queues ?? []).map((name) => [name, concurrency]))
    : undefined;
  const workers = await toolkit.startWorkers(queues, each);
  const { link } = await toolkit.parts.engine();
  toolkit.parts.log.info(
    { queues: workers.queues, redis: link.address, home: toolkit.parts.home },
    'Workers are ready',
  );
  context.output.note(`Running the queues ${workers.queues.join(', ')}. Ctrl-C stops.`);
  await untilStopped(context);
  await toolkit.close(drainMs);
}

export const register: Register = (program, lifecycle) => {
  program
    .command('serve')
    .description('run all queues unattended, until stopped')
    .action(
      action(lifecycle, async (context) => {
        await run(context, undefined, undefined);
      }),
    );

  program
    .command('worker')
    .description('run some of the queues, until stopped')
    .option('--queues <list>', 'which, such as render,mail', 'general,probe,render,mail')
    .option('--concurrency <n>', 'jobs at a time in each queue', positiveInteger)
    .addHelpText(
      'after',
      '\nExamples:\n  msp-toolkit worker --queues render --concurrency 2\n\nA worker for probe alone needs no database: give it redis.url and redis.prefix.',
    )
    .action(
      action(lifecycle, async (context, _args, own: { queues: string; concurrency?: number }) => {
        const [{ parseQueueNames }, { queueNames }, { loadConfig }, { openHome }] = await Promise.all([
          import('../../workers/worker.ts'),
          import('../../jobs/engine/define.ts'),
          import('../config.ts'),
          import('../home.ts'),
        ]);
        const queues = parseQueueNames(own.queues, queueNames);
        const { environment, options } = context;
        const { config } = await loadConfig({
          home: openHome(environment),
          cwd: process.cwd(),
          environment,
          file: options.config,
        });
        const remote = queues.length === 1 && queues[0] === 'probe' && config.redis.url !== undefined;
        if (remote && !config.redis.prefix) {
          throw new DomainError(
            'CONFIG_INVALID',
            'A worker without a database must be told the prefix of its queues.',
            {
              hint: 'Set redis.prefix to the same value here and where the database is.',
            },
          );
        }
        await (remote ? probeAlone(context, own.concurrency) : run(context, queues, own.concurrency));
      }),
    );
};
