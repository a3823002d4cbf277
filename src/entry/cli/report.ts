import type { Job } from '../../domain/job.ts';
import type { Delivery, Report, ReportFormat } from '../../domain/report.ts';
import { action } from './context.ts';
import { choices, positiveInteger } from './options.ts';
import { type Output, when, whenBriefly } from './output.ts';
import type { Register } from './program.ts';
import type { Started } from '../toolkit.ts';
import { forClients, mailed, withJob } from './started.ts';

interface Generated {
  job: Job;
  report: Report;
  delivery?: Delivery;
}

function show(output: Output, report: Report): void {
  output.record([
    ['id', report.id],
    ['client', report.clientId],
    ['template', report.template],
    ['format', report.format],
    ['file', report.path],
    ['bytes', report.bytes],
    ['from', report.period.from],
    ['to', report.period.to],
    ['generated', when(report.generatedAt)],
  ]);
}

function deliveryRow(d: Delivery) {
  return [d.recipient, d.state, d.tries, when(d.sentAt), d.messageId, d.response];
}

const deliveryHead = ['RECIPIENT', 'STATE', 'TRIES', 'SENT', 'MESSAGE-ID', 'SERVER SAID'];

export const register: Register = (program, lifecycle) => {
  const report = program.command('report').description('reports that clients read');

  report
    .command('generate')
    .description('write a report')
    .argument('[id]', 'the client')
    .option('--all', 'every client')
    .option('--template <name>', 'which report', 'monthly-summary')
    .addOption(choices('--format <format>', 'as what', 'reportFormats').default('pdf'))
    .option('--period <period>', 'a month (2026-10), a day (2026-10-05) or last-30-days', 'last-30-days')
    .option('--email <address>', 'mail it there')
    .option('--no-wait', 'print the job and return at once')
    .addHelpText(
      'after',
      '\nExample:\n  msp-toolkit report generate acme-corp --template sla-compliance --period 2026-10 --email it@acme.example',
    )
    .action(
      action(
        lifecycle,
        async (
          context,
          [id],
          own: {
            all?: boolean;
            template: string;
            format: ReportFormat;
            period: string;
            email?: string;
            wait: boolean;
          },
        ) => {
          const toolkit = await context.toolkit();
          const { output } = context;
          const { template, format, period, email } = own;
          const deliveryOf = async (
            sendJobId: string | null,
            reportId: string,
          ): Promise<Delivery | undefined> => {
            if (!sendJobId) return undefined;
            await mailed(context, sendJobId);
            return (await toolkit.reports.get(reportId)).deliveries.find((d) => d.recipient === email);
          };

          await forClients(context, id, own, {
            title: (clientId) => `Writing ${template} for ${clientId}`,
            start: (clientId) =>
              toolkit.reports.generate({ clientId, template, format, period, ...(email ? { email } : {}) }),
            async collect(result, job): Promise<Generated> {
              const delivery = await deliveryOf(result.sendJobId, result.report.id);
              if (own.all) output.note(`${result.report.clientId}: ${result.report.path}`);
              return { job, report: result.report, ...(delivery ? { delivery } : {}) };
            },
            one(generated) {
              output.data(generated, () => {
                show(output, generated.report);
                if (generated.delivery) {
                  output.record([
                    ['mailed to', generated.delivery.recipient],
                    ['server said', generated.delivery.response],
                  ]);
                }
              });
            },
            all(generated) {
              output.data(generated, () =>
                output.table(
                  ['CLIENT', 'TEMPLATE', 'FORMAT', 'BYTES', 'FILE'],
                  generated.map(({ report: r }) => [r.clientId, r.template, r.format, r.bytes, r.path]),
                  'No clients yet.',
                ),
              );
            },
          });
        },
      ),
    );

  report
    .command('list')
    .description('list reports, newest first')
    .option('--client-id <id>', 'only those of this client')
    .option('--limit <n>', 'at most so many', positiveInteger, 50)
    .action(
      action(lifecycle, async (context, _args, own: { clientId?: string; limit: number }) => {
        const toolkit = await context.toolkit();
        if (own.clientId) await toolkit.clients.get(own.clientId);
        const reports = await toolkit.reports.list(own);
        context.output.data(reports, () =>
          context.output.table(
            ['ID', 'CLIENT', 'TEMPLATE', 'FORMAT', 'BYTES', 'GENERATED', 'FILE'],
            reports.map((r) => [
              r.id,
              r.clientId,
              r.template,
              r.format,
              r.bytes,
              whenBriefly(r.generatedAt),
              r.path,
            ]),
            'No reports yet. Write one with: msp-toolkit report generate ID',
          ),
        );
      }),
    );

  report
    .command('show')
    .description('show a report and to whom it went')
    .argument('<id>')
    .action(
      action(lifecycle, async (context, [id]) => {
        const found = await (await context.toolkit()).reports.get(String(id));
        context.output.data(found, () => {
          show(context.output, found);
          if (found.deliveries.length > 0)
            context.output.table(deliveryHead, found.deliveries.map(deliveryRow), '');
        });
      }),
    );

  report
    .command('send')
    .description('mail a report; to each recipient once')
    .argument('<id>')
    .requiredOption('--email <address>', 'the recipient')
    .option('--no-wait', 'print the job and return at once')
    .action(
      action(lifecycle, async (context, [id], own: { email: string; wait: boolean }) => {
        const toolkit = await context.toolkit();
        const started = await toolkit.reports.send(String(id), own.email);
        // Followed to its first failure only; see `mailed`.
        const once: Started<Delivery> = {
          ...started,
          async result() {
            await mailed(context, started.job.id);
            return started.result();
          },
        };
        await withJob(context, once, own.wait, `Mailing to ${own.email}`, async (delivery, job) => {
          context.output.data({ job, delivery }, () =>
            context.output.table(deliveryHead, [deliveryRow(delivery)], ''),
          );
        });
      }),
    );

  report
    .command('templates')
    .description('list the report templates')
    .action(
      action(lifecycle, async (context) => {
        const names = await (await context.toolkit()).reports.templates();
        context.output.data(names, () =>
          context.output.table(
            ['NAME'],
            names.map((name) => [name]),
            'None.',
          ),
        );
      }),
    );
};
