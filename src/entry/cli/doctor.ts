import { action } from './context.ts';
import type { Register } from './program.ts';

export const register: Register = (program, lifecycle) => {
  program
    .command('doctor')
    .description('look for what is wrong here and say how to mend it')
    .action(
      action(lifecycle, async (context) => {
        const [{ examine }, { loadConfig }, { openHome }, { systemClock }] = await Promise.all([
          import('../doctor.ts'),
          import('../config.ts'),
          import('../home.ts'),
          import('../../domain/clock.ts'),
        ]);
        const { environment, options, output } = context;
        const home = openHome(environment);
        const { config } = await loadConfig({ home, cwd: process.cwd(), environment, file: options.config });
        const log = await context.log('silent');
        const findings = await examine({ home, config, environment, clock: systemClock, log });
        output.data(findings, () => {
          output.table(
            ['PART', 'STATE', 'FINDING'],
            findings.map((f) => [f.name, f.status, f.message]),
            '',
          );
          for (const { name, hint } of findings.filter((f) => f.hint)) output.note(`${name}: ${hint}`);
        });
        if (findings.some((f) => f.status === 'error')) context.exitCode(1);
      }),
    );
};
