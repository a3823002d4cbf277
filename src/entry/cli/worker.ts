import { DomainError } from '../../domain/errors.ts';
import { action } from './context.ts';
import { positiveInteger } from './options.ts';
import type { Register } from './program.ts';
import { probeAlone, runWorkers } from './run-workers.ts';

export const register: Register = (program, lifecycle) => {
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
        await (remote ? probeAlone(context, own.concurrency) : runWorkers(context, queues, own.concurrency));
      }),
    );
};
