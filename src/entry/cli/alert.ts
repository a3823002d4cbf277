import { Option } from 'commander';
import type { Alert, AlertState, Severity } from '../../domain/alert/alert.ts';
import type { Toolkit } from '../toolkit.ts';
import { action } from './context.ts';
import { durationMs, futureTime } from './duration.ts';
import { choices, positiveInteger } from './options.ts';
import { type Row, when, whenBriefly } from './output.ts';
import type { Register } from './program.ts';

async function deviceNames(toolkit: Toolkit): Promise<Map<string, string>> {
  return new Map((await toolkit.devices.list()).map((device) => [device.id, device.name]));
}

function thing(alert: Alert, names: Map<string, string>): string {
  const device = names.get(alert.deviceId) ?? alert.deviceId;
  return `${device} ${alert.check}${alert.instance ? ` ${alert.instance}` : ''}`;
}

function row(alert: Alert, names: Map<string, string>): Row {
  return [
    alert.id,
    alert.severity,
    alert.state,
    alert.clientId,
    thing(alert, names),
    whenBriefly(alert.openedAt),
    alert.message,
  ];
}

export const register: Register = (program, lifecycle) => {
  const alert = program.command('alert').alias('alerts').description('alerts, and what becomes of them');

  alert
    .command('list')
    .description('alerts that are not resolved, the worst first')
    .addOption(choices('--state <state>', 'only those in this state, or all', 'alertStates'))
    .addOption(choices('--severity <severity>', 'only those of this severity', 'severities'))
    .option('--client-id <id>', 'only those of this client')
    .option('--limit <n>', 'at most so many', positiveInteger, 200)
    .addHelpText(
      'after',
      '\nExamples:\n  msp-toolkit alert list\n  msp-toolkit alert list --state all --json',
    )
    .action(
      action(
        lifecycle,
        async (
          context,
          _args,
          own: { state?: AlertState | 'all'; severity?: Severity; clientId?: string; limit: number },
        ) => {
          const toolkit = await context.toolkit();
          const alerts = await toolkit.alerts.list(own);
          const names = await deviceNames(toolkit);
          context.output.data(alerts, () =>
            context.output.table(
              ['ID', 'SEVERITY', 'STATE', 'CLIENT', 'WHAT', 'SINCE', 'FINDING'],
              alerts.map((a) => row(a, names)),
              'No alerts.',
            ),
          );
        },
      ),
    );

  alert
    .command('show')
    .description('one alert with all that happened to it')
    .argument('<id>', 'the alert')
    .action(
      action(lifecycle, async (context, [id]) => {
        const toolkit = await context.toolkit();
        const found = await toolkit.alerts.get(String(id));
        const names = await deviceNames(toolkit);
        context.output.data(found, () => {
          context.output.record([
            ['id', found.id],
            ['severity', found.severity],
            ['state', found.state],
            ['client', found.clientId],
            ['what', thing(found, names)],
            ['finding', found.message],
            ['opened', when(found.openedAt)],
            ['found bad', `${found.count} times, last ${when(found.lastAt)}`],
            ['until', found.until ? when(found.until) : null],
            ['note', found.note],
            ['resolved', found.resolvedAt ? `${when(found.resolvedAt)} by ${found.resolvedBy}` : null],
          ]);
          context.output.line('');
          context.output.table(
            ['AT', 'WHAT', 'WHO', 'NOTE'],
            found.timeline.map((event) => [when(event.at), event.what, event.who, event.note]),
            'Nothing happened yet.',
          );
        });
      }),
    );

  alert
    .command('ack')
    .description('say that somebody is at it; it is open again when it gets worse, or at the end of --until')
    .argument('<id>', 'the alert')
    .requiredOption('--note <text>', 'why, or what is being done')
    .option('--until <time>', 'a duration such as 4h, or a time', futureTime)
    .addHelpText('after', '\nExample:\n  msp-toolkit alert ack 0199... --note "new disk ordered" --until 2d')
    .action(
      action(lifecycle, async (context, [id], own: { note: string; until?: string }) => {
        const changed = await (await context.toolkit()).alerts.acknowledge(String(id), own.note, own.until);
        context.output.data(changed, () => context.output.line(`${changed.id} is acknowledged.`));
      }),
    );

  alert
    .command('snooze')
    .description('have nobody told of it for a while; always with an end')
    .argument('<id>', 'the alert')
    .requiredOption('--until <time>', 'a duration such as 4h, or a time', futureTime)
    .option('--note <text>', 'why')
    .action(
      action(lifecycle, async (context, [id], own: { until: string; note?: string }) => {
        const changed = await (await context.toolkit()).alerts.snooze(String(id), own.until, own.note);
        context.output.data(changed, () =>
          context.output.line(`${changed.id} is snoozed until ${when(changed.until)}.`),
        );
      }),
    );

  alert
    .command('resolve')
    .description('end it by hand; it is raised anew if its cause is still found')
    .argument('<id>', 'the alert')
    .option('--note <text>', 'how')
    .action(
      action(lifecycle, async (context, [id], own: { note?: string }) => {
        const changed = await (await context.toolkit()).alerts.resolve(String(id), own.note);
        context.output.data(changed, () => context.output.line(`${changed.id} is resolved.`));
      }),
    );

  alert
    .command('simulate')
    .description('which alerts there would have been with other thresholds, from the stored history')
    .addOption(
      new Option('--since <duration>', 'how far back').argParser(durationMs).default(7 * 86_400_000, '7d'),
    )
    .option('--client-id <id>', 'only this client')
    .requiredOption(
      '--thresholds <file>',
      'YAML or JSON: thresholds, attempts, maintenance; - for standard input',
    )
    .addHelpText(
      'after',
      '\nThe file:\n  thresholds:\n    disk: { warning: 80, critical: 90 }\n  attempts: 2\n  maintenance:\n    - { cron: "0 22 * * *", durationMinutes: 60, reason: backup }\n\nExample:\n  msp-toolkit alert simulate --since 7d --thresholds new.yaml',
    )
    .action(
      action(
        lifecycle,
        async (context, _args, own: { since: number; clientId?: string; thresholds: string }) => {
          const { readSimulation } = await import('./simulation-file.ts');
          const toolkit = await context.toolkit();
          const wish = await readSimulation(own.thresholds);
          const found = await toolkit.alerts.simulate({
            ...wish,
            sinceMs: own.since,
            clientId: own.clientId,
          });
          const names = await deviceNames(toolkit);
          const { output } = context;
          output.data(found, () => {
            output.table(
              ['CLIENT', 'WHAT', 'SEVERITY', 'FROM', 'TO', 'FINDING'],
              found.alerts.map((a) => [
                a.clientId,
                thing(a as unknown as Alert, names),
                a.severity,
                when(a.openedAt),
                a.resolvedAt ? when(a.resolvedAt) : 'still open',
                a.message,
              ]),
              'There would have been no alerts.',
            );
            output.note(
              `${found.alerts.length} alerts instead of ${found.actual} in that time; ${found.results} results replayed${found.coarse > 0 ? `, ${found.coarse} of them means of a minute` : ''}.`,
            );
          });
        },
      ),
    );
};
