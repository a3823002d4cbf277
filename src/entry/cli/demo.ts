import { action } from './context.ts';
import type { Register } from './program.ts';

export const register: Register = (program, lifecycle) => {
  program
    .command('demo')
    .description('run the main job once in a scratch home: onboard, check, report, mail')
    .action(
      action(lifecycle, async (context) => {
        const { runDemo } = await import('../demo.ts');
        const { output, environment, signal } = context;
        const result = await runDemo({
          environment,
          signal,
          log: await context.log('silent'),
          say: (text) => output.note(text),
          follow: (started, title) => context.follow(started, title),
        });
        output.data(result, () => {
          output.note('');
          output.table(
            ['CHECK', 'STATUS', 'FOUND'],
            result.figures.map((f) => [f.check, f.status, f.finding]),
            '',
          );
          output.line('');
          output.record([
            ['report', result.pdf],
            ['mail', result.message],
          ]);
          output.line('\nTry next:');
          for (const command of result.next) output.line(`  ${command}`);
        });
      }),
    );
};
