import { z } from 'zod';
import { clientIdSchema, emailSchema } from '../../../domain/client.ts';
import { parseWith } from '../../../domain/errors.ts';
import { reportFormats, reportSchema } from '../../../domain/report.ts';
import { mimeTypes, reportUri } from '../resources.ts';
import { adds, assertNotFailed, awaitJob, defineTool, jobOutput, stateLine, waitInput } from '../tool.ts';

const written = z.object({ report: reportSchema, sendJobId: z.string().nullable() });

export const reportGenerate = defineTool(
  {
    name: 'report_generate',
    title: 'Write a report',
    description:
      'Writes a client report from what was recorded, as PDF, HTML or Markdown, and mails it if an address is given. The report comes back as a resource link.',
    input: {
      clientId: clientIdSchema.describe('The client, as client_list names it.'),
      template: z
        .string()
        .default('monthly-summary')
        .describe('monthly-summary, health-report, sla-compliance, incident-summary, or one of your own.'),
      format: z.enum(reportFormats).default('pdf'),
      period: z
        .string()
        .default('last-30-days')
        .describe('A month (2026-10), a day (2026-10-05) or last-30-days.'),
      email: emailSchema.optional().describe('Mail it to this address.'),
      ...waitInput,
    },
    output: { job: jobOutput, report: reportSchema.nullable(), sendJobId: z.string().nullable() },
    annotations: { ...adds, openWorldHint: true },
  },
  async (context, { wait, timeoutSeconds, email, ...input }) => {
    const started = await context.toolkit.reports.generate({ ...input, ...(email ? { email } : {}) });
    const job = await awaitJob(context, started, { wait, timeoutSeconds });
    assertNotFailed(job);
    if (job.state !== 'succeeded') {
      return { structured: { job, report: null, sendJobId: null }, text: stateLine(job) };
    }
    const { report, sendJobId } = parseWith(written, job.result, 'result of report.generate', 'INTERNAL');
    return {
      structured: { job, report, sendJobId },
      text: `Wrote ${report.template} for ${report.clientId}: ${report.path} (${report.bytes} bytes).${
        sendJobId ? ` Job ${sendJobId} mails it to ${email}.` : ''
      }`,
      links: [
        {
          uri: reportUri(report.id),
          name: report.path.split('/').at(-1) ?? report.id,
          mimeType: mimeTypes[report.format],
        },
      ],
    };
  },
);
