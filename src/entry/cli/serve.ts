import { action } from './context.ts';
import type { Register } from './program.ts';
import { runWorkers } from './run-workers.ts';

export const register: Register = (program, lifecycle) => {
  program
    .command('serve')
    .description('run all queues unattended, until stopped')
    .action(
      action(lifecycle, async (context) => {
        await runWorkers(context, undefined, undefined);
      }),
    );
};
