import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { action } from './context.ts';
import type { Register } from './program.ts';

export const register: Register = (program, lifecycle) => {
  program
    .command('init')
    .description('make the home folder, a commented configuration and the database')
    .action(
      action(lifecycle, async (context) => {
        const [{ openHome }, { writeConfigTemplate }] = await Promise.all([
          import('../home.ts'),
          import('../config-template.ts'),
        ]);
        const home = openHome(context.environment);
        const file = join(home, 'config.yaml');
        const existed = existsSync(file);
        if (!existed) await writeConfigTemplate(file);
        await context.toolkit();
        context.output.data({ home, config: file, created: !existed }, () => {
          context.output.record([
            ['home', home],
            ['configuration', `${file} ${existed ? '(kept as it was)' : '(new)'}`],
            ['database', join(home, 'toolkit.db')],
          ]);
        });
        context.output.note('Next: msp-toolkit client add --name "Acme Corp"');
      }),
    );
};
