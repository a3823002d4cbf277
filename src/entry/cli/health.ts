import { setTimeout as delay } from 'node:timers/promises';
import type { CheckResult, Status, Summary } from '../../domain/check/check.ts';
import type { Job } from '../../domain/job.ts';
import type { ClientStatus, HistorySeries } from '../facade/health.ts';
import type { Toolkit } from '../toolkit.ts';
import { type ChartPoint, condense, sparkline } from './chart.ts';
import { action, type CommandContext } from './context.ts';
import { csvLines } from './csv.ts';
import { choices, listOf, positiveInteger } from './options.ts';
import { type Row, when, whenBriefly } from './output.ts';
import type { Register } from './program.ts';
import { forClients } from './started.ts';

interface Checked {
  job: Job;
  clientId: string;
  status: Status;
  summary: Summary;
  results: CheckResult[];
}

function valueOf(result: Pick<CheckResult, 'value' | 'unit'>): string {
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

async function deviceNames(toolkit: Toolkit, clientId?: string): Promise<Map<string, string>> {
  const devices = await toolkit.devices.list(clientId ? { clientId } : {});
  return new Map(devices.map((device) => [device.id, device.name]));
}

/** By name or id. */
async function deviceIdOf(toolkit: Toolkit, clientId: string, named: string | undefined) {
  if (named === undefined) return undefined;
  const devices = await toolkit.devices.list({ clientId });
  return devices.find((d) => d.id === named || d.name === named)?.id ?? (await toolkit.devices.get(named)).id;
}

type By = 'result' | 'minute' | 'hour' | 'day';

const resultHead = ['measured', 'device', 'check', 'instance', 'status', 'value', 'unit', 'finding'] as const;
const pointHead = [
  'from',
  'to',
  'device',
  'check',
  'instance',
  'value',
  'unit',
  'min',
  'avg',
  'max',
  'count',
  'healthy_s',
  'warning_s',
  'critical_s',
  'unknown_s',
  'unreachable_s',
] as const;

function* pointRows(all: readonly HistorySeries[]): Generator<(string | number | null)[]> {
  for (const s of all) {
    for (const p of s.points) {
      const known = Object.values(p.seconds).some((n) => n > 0);
      if (p.count === 0 && !known) continue;
      const { healthy, warning, critical, unknown, unreachable } = p.seconds;
      const states = [healthy, warning, critical, unknown, unreachable].map((n) => n ?? 0);
      const thing = [s.device, s.check, s.instance, s.value, s.unit];
      yield [p.from, p.to, ...thing, p.min, p.avg, p.max, p.count, ...states];
    }
  }
}

function chartPoints(series: HistorySeries): ChartPoint[] {
  return series.points.map(({ avg, seconds }) => {
    const worst = ['critical', 'warning', 'unreachable', 'unknown'].find(
      (state) => (seconds[state] ?? 0) > 0,
    );
    return { value: avg, status: worst ?? 'healthy' };
  });
}

/** One row of bars for each value, with its figures. */
function drawCharts(context: CommandContext, all: readonly HistorySeries[], days: number): void {
  const { output } = context;
  if (all.length === 0) {
    output.line(`No data: nothing was measured in the last ${days} days.`);
    return;
  }
  const width = Math.max(20, Math.min(72, (process.stdout.columns ?? 100) - 62));
  const first = all[0]?.points ?? [];
  output.line(`${whenBriefly(first[0]?.from)} to ${whenBriefly(first.at(-1)?.to)}; a dot is a gap`);
  output.table(
    ['WHAT', 'COURSE', 'MIN', 'AVG', 'MAX'],
    all.map((s) => {
      const filled = s.points.filter((p) => p.count > 0);
      const total = filled.reduce((n, p) => n + p.count, 0);
      const mean = filled.reduce((sum, p) => sum + (p.avg ?? 0) * p.count, 0) / total;
      const what = `${s.device} ${s.check}${s.instance ? ` ${s.instance}` : ''}: ${s.value}`;
      const unit = s.unit ? ` ${s.unit}` : '';
      return [
        what,
        sparkline(condense(chartPoints(s), width), s.unit, (text) => text),
        `${Math.min(...filled.map((p) => p.min ?? 0))}`,
        `${Number(mean.toPrecision(4))}`,
        `${Math.max(...filled.map((p) => p.max ?? 0))}${unit}`,
      ];
    }),
    '',
  );
}

function statusTable(context: CommandContext, clients: readonly ClientStatus[], room: number): void {
  const { output } = context;
  const shown = clients.slice(0, room);
  const hidden = clients.slice(room);
  output.table(
    [...statusHead, 'ALERTS', 'MEASURED'],
    shown.map((client) => [
      ...statusRow(client),
      client.alerts,
      client.at ? whenBriefly(client.at) : 'no data',
    ]),
    'No clients yet.',
  );
  if (hidden.length > 0) {
    const count = (status: Status) => hidden.filter((c) => c.status === status).length;
    const parts = (['critical', 'warning', 'unknown', 'healthy'] as const)
      .filter((status) => count(status) > 0)
      .map((status) => `${count(status)} ${status}`);
    output.line(`… and ${hidden.length} more: ${parts.join(', ')}`);
  }
}

/** Shows every client again and again until Ctrl-C. */
async function watchStatus(context: CommandContext, toolkit: Toolkit, seconds: number): Promise<void> {
  const { output, signal } = context;
  const terminal = process.stdout.isTTY === true;
  while (!signal.aborted) {
    const clients = await toolkit.health.status();
    if (output.json) output.line(JSON.stringify({ at: new Date().toISOString(), clients }));
    else {
      if (terminal) process.stdout.write('\u001b[H\u001b[2J');
      statusTable(context, clients, terminal ? Math.max(5, (process.stdout.rows ?? 24) - 5) : clients.length);
      output.line(`${when(new Date().toISOString())}, every ${seconds} s; Ctrl-C ends it`);
    }
    await delay(seconds * 1000, undefined, { signal }).catch(() => {});
  }
}

function minutes(seconds: number): string {
  const all = Math.round(seconds / 60);
  return all < 60 ? `${all} min` : `${Math.floor(all / 60)} h ${all % 60} min`;
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
          own: { all?: boolean; checks?: string[]; wait: boolean; exitStatus?: boolean },
        ) => {
          const toolkit = await context.toolkit();
          const { output } = context;
          const names = await deviceNames(toolkit);
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
    .description('what was measured: a chart on a terminal, JSON or CSV for programs')
    .argument('<id>', 'the client')
    .option('--days <n>', 'how far back', positiveInteger, 7)
    .option('--device <name>', 'only this device, by name or id')
    .addOption(choices('--check <name>', 'only this check', 'checkNames'))
    .addOption(
      choices(
        '--by <step>',
        'each result as it was, or means of a minute, an hour or a day',
        'historyLevels',
      ),
    )
    .option('--csv', 'print comma-separated values')
    .addHelpText(
      'after',
      '\nExamples:\n  msp-toolkit health history acme-corp --check disk\n  msp-toolkit health history acme-corp --days 30 --by hour --csv > acme.csv',
    )
    .action(
      action(
        lifecycle,
        async (
          context,
          [id],
          own: { days: number; device?: string; check?: string; by?: By; csv?: boolean },
        ) => {
          const { output } = context;
          const toolkit = await context.toolkit();
          const clientId = String(id);
          const deviceId = await deviceIdOf(toolkit, clientId, own.device);
          const wish = { days: own.days, check: own.check, deviceId };
          const chart = process.stdout.isTTY === true && !output.json && !own.csv && own.by === undefined;
          const by = own.by ?? 'result';
          if (chart || by !== 'result') {
            const step = by === 'result' ? (own.days <= 1 ? 'minute' : own.days <= 60 ? 'hour' : 'day') : by;
            const series = await toolkit.health.series(clientId, { ...wish, by: step });
            if (own.csv) for (const line of csvLines(pointHead, pointRows(series))) output.line(line);
            else if (chart) drawCharts(context, series, own.days);
            else
              output.data(series, () =>
                output.table(
                  pointHead.map((name) => name.toUpperCase()),
                  [...pointRows(series)],
                  `No data: nothing was measured in the last ${own.days} days.`,
                ),
              );
            return;
          }
          const results = await toolkit.health.history(clientId, wish);
          const names = await deviceNames(toolkit, clientId);
          const kept = toolkit.parts.config.history.rawDays;
          if (own.days > kept && own.by === undefined)
            output.note(`Results are kept one by one for ${kept} days; for what is older use --by hour.`);
          if (own.csv) {
            const rows = results.map((r) => [
              r.at,
              names.get(r.deviceId) ?? r.deviceId,
              r.check,
              r.instance,
              r.status,
              r.value,
              r.unit,
              r.message,
            ]);
            for (const line of csvLines(resultHead, rows)) output.line(line);
            return;
          }
          output.data(results, () =>
            output.table(
              ['MEASURED', 'DEVICE', 'CHECK', 'STATUS', 'VALUE', 'FINDING'],
              results.map((r) => [when(r.at), ...(resultRows([r], names)[0] ?? [])]),
              `No data: nothing was measured in the last ${own.days} days.`,
            ),
          );
        },
      ),
    );

  health
    .command('status')
    .description('where every client stands, worst first')
    .option('--watch [seconds]', 'show it again and again, every 5 seconds unless said otherwise', (text) =>
      positiveInteger(text),
    )
    .action(
      action(lifecycle, async (context, _args, own: { watch?: number | true }) => {
        const toolkit = await context.toolkit();
        if (own.watch) {
          await watchStatus(context, toolkit, own.watch === true ? 5 : own.watch);
          return;
        }
        const clients = await toolkit.health.status();
        context.output.data(clients, () => statusTable(context, clients, clients.length));
      }),
    );

  health
    .command('thresholds')
    .description('the limits in force for the devices of a client, and where each comes from')
    .argument('<id>', 'the client')
    .addHelpText(
      'after',
      '\nThe nearest wins: device, client, tier, configuration, default. Set those of a client or a device with --metadata:\n  msp-toolkit client update acme-corp --metadata \'{"thresholds":{"disk":{"warning":80}}}\'',
    )
    .action(
      action(lifecycle, async (context, [id]) => {
        const rows = await (await context.toolkit()).health.thresholds(String(id));
        context.output.data(rows, () =>
          context.output.table(
            ['VALUE', 'UNIT', 'BAD', 'WARNING', 'FROM', 'CRITICAL', 'FROM', 'HYSTERESIS', 'DEVICE'],
            rows.map((r) => [
              r.check === r.key ? `${r.key} (${r.value})` : r.key,
              r.unit,
              r.worse,
              r.warning,
              r.warningFrom,
              r.critical,
              r.criticalFrom,
              r.hysteresis || null,
              r.device ?? 'all',
            ]),
            'No values.',
          ),
        );
      }),
    );

  health
    .command('availability')
    .description('up, down, unreachable, maintenance and no data over a period')
    .argument('<id>', 'the client')
    .option(
      '--period <period>',
      'such as 2026-10, 2026-10-05, 2026-10-05..2026-10-18 or last-30-days',
      'last-30-days',
    )
    .action(
      action(lifecycle, async (context, [id], own: { period: string }) => {
        const found = await (await context.toolkit()).health.availability(String(id), own.period);
        context.output.data(found, () =>
          context.output.table(
            [
              'DEVICE',
              'AVAILABLE',
              'UP',
              'DOWN',
              'UNREACHABLE',
              'MAINTENANCE',
              'NO DATA',
              'OUTAGES',
              'MTTR',
              'MTBF',
            ],
            [found.overall, ...found.devices].map((a) => [
              a.name,
              a.percent === null ? 'no data' : `${a.percent.toFixed(3)} %`,
              minutes(a.up),
              minutes(a.down),
              minutes(a.unreachable),
              minutes(a.maintenance),
              minutes(a.noData),
              a.outages,
              a.mttrMinutes === null ? '-' : minutes(a.mttrMinutes * 60),
              a.mtbfHours === null ? '-' : minutes(a.mtbfHours * 3600),
            ]),
            'No devices.',
          ),
        );
      }),
    );
};
