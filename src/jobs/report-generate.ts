import { v7 as newId } from 'uuid';
import { z } from 'zod';
import { clientIdSchema, emailSchema, getClient } from '../domain/client.ts';
import { nowIso } from '../domain/clock.ts';
import { parsePeriod } from '../domain/period.ts';
import { type Report, reportFormats, reportSchema } from '../domain/report.ts';
import { buildReportData } from '../domain/report-data.ts';
import { defineJob, type JobContext, type Outcome } from './engine/define.ts';
import { reportSend } from './report-send.ts';

const payload = z.strictObject({
  clientId: clientIdSchema,
  template: z
    .string()
    .regex(/^[a-z0-9-]{1,100}$/)
    .default('monthly-summary'),
  format: z.enum(reportFormats).default('pdf'),
  period: z.string().default('last-30-days'),
  email: emailSchema.optional(),
});

const result = z.object({ report: reportSchema, sendJobId: z.string().nullable() });

/** Writes a report from stored rows alone and, if an address is given, asks for it to be mailed. */
export const reportGenerate = defineJob(
  {
    type: 'report.generate',
    queue: 'render',
    payload,
    result,
    attempts: 4,
    backoffMs: 1000,
    timeoutMs: 120_000,
  },
  generate,
);

async function generate(
  context: JobContext,
  wish: z.infer<typeof payload>,
): Promise<Outcome<z.infer<typeof result>>> {
  const { storage, ports, settings, clock } = context;
  const client = await getClient(storage, wish.clientId);
  const period = parsePeriod(wish.period, client.timezone, clock.now());
  context.progress(10, 'collecting the figures');
  const data = await buildReportData(storage, client, period, {
    companyName: settings.companyName,
    now: clock.now(),
    maintenanceCounts: settings.maintenanceCounts,
    reachability: settings.monitor.reachability,
  });
  context.progress(30, `rendering ${wish.template} as ${wish.format}`);
  const { bytes, extension } = await ports.renderer.render(
    wish.template,
    wish.format,
    { ...data },
    context.signal,
  );
  context.progress(80, 'writing the file');
  // The name is the job's, so that a retry after a crash replaces the file instead of leaving a second one.
  const name = `${client.id}/${wish.template}_${wish.period}_${context.job.id}.${extension}`;
  // An attempt that a newer one has replaced ends here, before it could change that one's file.
  await context.write(() => {});
  const path = await ports.reportFiles.write(name, bytes);
  const report: Report = {
    id: newId(),
    clientId: client.id,
    template: wish.template,
    format: wish.format,
    path,
    bytes: bytes.byteLength,
    period,
    generatedAt: nowIso(clock),
  };
  const answer: z.infer<typeof result> = { report, sendJobId: null };
  return {
    result: answer,
    record: (tx) => {
      tx.addReport({ ...report, jobId: context.job.id, periodFrom: period.from, periodTo: period.to });
      if (wish.email) {
        answer.sendJobId = context.enqueue(tx, reportSend, {
          reportId: report.id,
          recipient: wish.email,
          clientId: client.id,
        });
      }
    },
  };
}
