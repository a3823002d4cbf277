import { join } from 'node:path';
import { mask } from '../../domain/mask.ts';
import { action, type CommandContext } from './context.ts';
import type { Register } from './program.ts';

async function load(context: CommandContext) {
  const [{ loadConfig }, { openHome }] = await Promise.all([import('../config.ts'), import('../home.ts')]);
  const { environment, options } = context;
  const home = openHome(environment);
  const loaded = await loadConfig({ home, cwd: process.cwd(), environment, file: options.config });
  return { ...loaded, home };
}

export const register: Register = (program, lifecycle) => {
  const config = program.command('config').description('the configuration file');

  config
    .command('init')
    .description('write a commented configuration; never over one that exists')
    .argument('[file]', 'where; default: config.yaml in the home')
    .action(
      action(lifecycle, async (context, [file]) => {
        const [{ writeConfigTemplate }, { openHome }] = await Promise.all([
          import('../config-template.ts'),
          import('../home.ts'),
        ]);
        const path = typeof file === 'string' ? file : join(openHome(context.environment), 'config.yaml');
        await writeConfigTemplate(path);
        context.output.data({ file: path }, () => context.output.line(`Wrote ${path}`));
      }),
    );

  config
    .command('show')
    .description('print the settings in force, with the environment applied')
    .action(
      action(lifecycle, async (context) => {
        const { config: settings, file, home } = await load(context);
        context.output.data(mask({ home, file: file ?? null, settings }), () => {
          context.output.note(`home: ${home}\nfile: ${file ?? 'none'}`);
          context.output.line(JSON.stringify(mask(settings), null, 2));
        });
      }),
    );

  config
    .command('validate')
    .description('check the configuration; every problem is reported at once')
    .action(
      action(lifecycle, async (context) => {
        const { file, config: settings } = await load(context);
        const [{ checkSchedules }, { registry }, { limitsFrom }] = await Promise.all([
          import('../../scheduler/schedules.ts'),
          import('../../jobs/registry.ts'),
          import('../../jobs/engine/admission.ts'),
        ]);
        limitsFrom(registry, settings.jobs.limits);
        checkSchedules(registry, settings.schedules, new Date());
        context.output.data({ valid: true, file: file ?? null }, () =>
          context.output.line(
            file ? `${file} is valid.` : 'There is no configuration file; the defaults are in force.',
          ),
        );
      }),
    );

  config
    .command('schema')
    .description('print the JSON schema of the configuration file')
    .action(
      action(lifecycle, async (context) => {
        const { configJsonSchema } = await import('../config.ts');
        context.output.line(JSON.stringify(configJsonSchema(), null, 2));
      }),
    );
};
