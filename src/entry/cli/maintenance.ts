import type { MaintenanceWindow } from '../../domain/maintenance.ts';
import { action } from './context.ts';
import { durationMs, timeOf } from './duration.ts';
import { listOf } from './options.ts';
import { when } from './output.ts';
import type { Register } from './program.ts';

function timing(window: MaintenanceWindow): string {
  return window.cron
    ? `${window.cron} (${window.timezone}) for ${window.durationMinutes} min`
    : `${when(window.from)} to ${when(window.to)}`;
}

export const register: Register = (program, lifecycle) => {
  const maintenance = program
    .command('maintenance')
    .description('times in which checks go on and no alert is raised');

  maintenance
    .command('list')
    .description('windows that are open or to come')
    .option('--client-id <id>', 'only those that bear on this client')
    .option('--past', 'also those that are over')
    .action(
      action(lifecycle, async (context, _args, own: { clientId?: string; past?: boolean }) => {
        const toolkit = await context.toolkit();
        const windows = await toolkit.maintenance.list(own);
        const names = new Map((await toolkit.devices.list()).map((d) => [d.id, d.name]));
        context.output.data(windows, () =>
          context.output.table(
            ['ID', 'NOW', 'CLIENT', 'DEVICE', 'CHECKS', 'WHEN', 'REASON'],
            windows.map((w) => [
              w.id,
              w.removedAt ? 'removed' : w.open ? 'open' : '-',
              w.clientId ?? 'all',
              w.deviceId ? (names.get(w.deviceId) ?? w.deviceId) : 'all',
              w.checks?.join(',') ?? 'all',
              timing(w),
              w.reason,
            ]),
            'No maintenance is planned.',
          ),
        );
      }),
    );

  maintenance
    .command('add')
    .description('plan maintenance, once or again and again')
    .requiredOption('--reason <text>', 'what for')
    .option('--client-id <id>', 'only for this client')
    .option('--device-id <id>', 'only for this device')
    .option('--checks <list>', 'only for these checks, such as http,tcp', listOf('checkNames'))
    .option('--from <time>', 'when it begins', timeOf)
    .option('--to <time>', 'when it ends', timeOf)
    .option('--cron <cron>', 'when it begins, again and again: five fields')
    .option('--duration <duration>', 'how long it lasts, such as 90m or 4h', durationMs)
    .option('--timezone <zone>', "of the cron; default: the client's")
    .addHelpText(
      'after',
      '\nExamples:\n  msp-toolkit maintenance add --client-id acme-corp --from 2026-12-01T22:00 --to 2026-12-02T02:00 --reason "new switch"\n  msp-toolkit maintenance add --cron "0 3 * * 0" --duration 2h --timezone Europe/Berlin --reason "weekly restart"',
    )
    .action(
      action(
        lifecycle,
        async (context, _args, own: { duration?: number; reason: string; checks?: string[] }) => {
          const { duration, ...same } = own;
          const added = await (
            await context.toolkit()
          ).maintenance.add({
            ...same,
            ...(duration ? { durationMinutes: Math.round(duration / 60_000) } : {}),
          });
          context.output.data(added, () => context.output.line(added.id));
        },
      ),
    );

  maintenance
    .command('remove')
    .description('end a window now; the time in which it was open stays what it was')
    .argument('<id>', 'the window')
    .action(
      action(lifecycle, async (context, [id]) => {
        const removed = await (await context.toolkit()).maintenance.remove(String(id));
        context.output.data(removed, () => context.output.line(`${removed.id} is removed.`));
      }),
    );
};
