import { DomainError } from '../../domain/errors.ts';
import type { CheckName, CheckResult, Status, Summary } from '../../domain/check.ts';
import type { Job } from '../../domain/job.ts';
import { action, type CommandContext } from './context.ts';
import { choices, listOf, positiveInteger } from './options.ts';
import { type Output, type Row, when } from './output.ts';
import type { Register } from './program.ts';
import { withJob } from './started.ts';

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

function summaryLine(output: Output, clientId: string, status: Status, summary: Summary): string {
  const parts = (['healthy', 'warning', 'critical', 'unknown'] as const).map((s) => `${summary[s]} ${s}`);
  return `${clientId}: ${output.status(status)} (${parts.join(', ')})`;
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
          if (Boolean(id) === Boolean(own.all)) {
            throw new DomainError('USAGE', 'Name one client, or give --all.', {
              hint: 'See the ids with: msp-toolkit client list',
            });
          }
          const names = new Map((await toolkit.devices.list()).map((device) => [device.id, device.name]));
          const check = (clientId: string) =>
            toolkit.health.check(clientId, own.checks ? { checks: own.checks } : {});

          if (!own.all) {
            await withJob(
              context,
              await check(String(id)),
              own.wait,
              `Checking ${id}`,
              async (result, job) => {
                output.data({ job, ...result } satisfies Checked, () => {
                  output.table(
                    ['DEVICE', 'CHECK', 'STATUS', 'VALUE', 'FINDING'],
                    resultRows(result.results, names),
                    'The client has no devices.',
                  );
                  output.note(summaryLine(output, result.clientId, result.status, result.summary));
                });
                applyExitStatus(context, own.exitStatus, [result.status]);
              },
            );
            return;
          }

          const clients = await toolkit.clients.list();
          const started = await Promise.all(clients.map((client) => check(client.id)));
          if (!own.wait) {
            output.data(
              started.map((s) => s.job),
              () => started.forEach((s) => output.line(s.job.id)),
            );
            return;
          }
          const checked = await Promise.all(
            started.map(async (s): Promise<Checked> => {
              const result = await s.result({ signal: context.signal });
              output.note(summaryLine(output, result.clientId, result.status, result.summary));
              const { steps: _steps, ...job } = await toolkit.jobs.get(s.job.id);
              return { job, ...result };
            }),
          );
          output.data(checked, () =>
            output.table(
              ['CLIENT', 'STATUS', 'HEALTHY', 'WARNING', 'CRITICAL', 'UNKNOWN'],
              checked.map(({ clientId, status, summary: s }) => [
                clientId,
                status,
                s.healthy,
                s.warning,
                s.critical,
                s.unknown,
              ]),
              'No clients yet.',
            ),
          );
          applyExitStatus(
            context,
            own.exitStatus,
            checked.map((c) => c.status),
          );
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
            ['CLIENT', 'STATUS', 'HEALTHY', 'WARNING', 'CRITICAL', 'UNKNOWN', 'MEASURED'],
            clients.map(({ clientId, status, summary: s, at }) => [
              clientId,
              status,
              s.healthy,
              s.warning,
              s.critical,
              s.unknown,
              at ? when(at) : 'no data',
            ]),
            'No clients yet.',
          ),
        );
      }),
    );
};
