import type { CheckName, CheckResult, Status, Summary } from '../../domain/check.ts';
import type { Job } from '../../domain/job.ts';
import { action, type CommandContext } from './context.ts';
import { choices, listOf, positiveInteger } from './options.ts';
import { type Row, when } from './output.ts';
import type { Register } from './program.ts';
import { forClients } from './started.ts';

interface Checked {
  job: Job;
  clientId: string;
  status: Status;
  summary: Summary;
  results: CheckResult[];
}

export function valueOf(result: Pick<CheckResult, 'value' | 'unit'>): string {
  return result.value === null ? '-' : `${result.value} ${result.unit ?? ''}`.trim();
}

function resultRows(results: readonly CheckResult[], names: Map<string, string>): Row[] {
  return results.map((r) => [
    names.get(r.deviceId) ?? r.deviceId,
    r.instance ? `${r.check} ${r.instance}` : r.check,
    r.status,
    valueOf(r),
    r.message,
  ]);
}

const statusHead = ['CLIENT', 'STATUS', 'HEALTHY', 'WARNING', 'CRITICAL', 'UNKNOWN'];

function statusRow({ clientId, status, summary: s }: Pick<Checked, 'clientId' | 'status' | 'summary'>): Row {
  return [clientId, status, s.healthy, s.warning, s.critical, s.unknown];
}

function summaryLine({
  clientId,
  status,
  summary,
}: Pick<Checked, 'clientId' | 'status' | 'summary'>): string {
  const parts = (['healthy', 'warning', 'critical', 'unknown'] as const).map((s) => `${summary[s]} ${s}`);
  return `${clientId}: ${status} (${parts.join(', ')})`;
}

/** 3 for --exit-status where anything is not healthy: what is not known can't pass either. */
function applyExitStatus(context: CommandContext, wanted: boolean | undefined, all: readonly Status[]): void {
  if (wanted && all.some((status) => status !== 'healthy')) context.exitCode(3);
}

export const register: Register = (program, lifecycle) => {
  const health = program.command('health').description('health checks and what they found');

  health
    .command('check')
    .description('check all devices of a client, now')
    .argument('[id]', 'the client')
    .option('--all', 'every client')
    .option('--checks <list>', 'only these, such as cpu,disk', listOf('checkNames'))
    .option('--no-wait', 'print the job and return at once')
    .option('--exit-status', 'exit with 3 unless everything is healthy')
    .addHelpText(
      'after',
      '\nExamples:\n  msp-toolkit health check acme-corp\n  msp-toolkit health check --all --json --exit-status',
    )
    .action(
      action(
        lifecycle,
        async (
          context,
          [id],
          own: { all?: boolean; checks?: CheckName[]; wait: boolean; exitStatus?: boolean },
        ) => {
          const toolkit = await context.toolkit();
          const { output } = context;
          const names = new Map((await toolkit.devices.list()).map((device) => [device.id, device.name]));
          const note = (checked: Checked) => output.note(summaryLine(checked));
          await forClients(context, id, own, {
            title: (clientId) => `Checking ${clientId}`,
            start: (clientId) => toolkit.health.check(clientId, own.checks ? { checks: own.checks } : {}),
            collect(result, job): Checked {
              const checked = { job, ...result };
              if (own.all) note(checked);
              return checked;
            },
            one(checked) {
              output.data(checked, () => {
                output.table(
                  ['DEVICE', 'CHECK', 'STATUS', 'VALUE', 'FINDING'],
                  resultRows(checked.results, names),
                  'The client has no devices.',
                );
                note(checked);
              });
              applyExitStatus(context, own.exitStatus, [checked.status]);
            },
            all(checked) {
              output.data(checked, () => output.table(statusHead, checked.map(statusRow), 'No clients yet.'));
              applyExitStatus(
                context,
                own.exitStatus,
                checked.map((c) => c.status),
              );
            },
          });
        },
      ),
    );

  health
    .command('history')
    .description('what was measured')
    .argument('<id>', 'the client')
    .option('--days <n>', 'how far back', positiveInteger, 7)
    .addOption(choices('--check <name>', 'only this check', 'checkNames'))
    .action(
      action(lifecycle, async (context, [id], own: { days: number; check?: CheckName }) => {
        const toolkit = await context.toolkit();
        const results = await toolkit.health.history(String(id), own);
        const names = new Map(
          (await toolkit.devices.list({ clientId: String(id) })).map((d) => [d.id, d.name]),
        );
        context.output.data(results, () =>
          context.output.table(
            ['MEASURED', 'DEVICE', 'CHECK', 'STATUS', 'VALUE', 'FINDING'],
            results.map((r, i) => [when(r.at), ...(resultRows([r], names)[0] ?? [i])]),
            `No data: nothing was measured in the last ${own.days} days.`,
          ),
        );
      }),
    );

  health
    .command('status')
    .description('where every client stands, worst first')
    .action(
      action(lifecycle, async (context) => {
        const clients = await (await context.toolkit()).health.status();
        context.output.data(clients, () =>
          context.output.table(
            [...statusHead, 'MEASURED'],
            clients.map((client) => [...statusRow(client), client.at ? when(client.at) : 'no data']),
            'No clients yet.',
          ),
        );
      }),
    );
};
