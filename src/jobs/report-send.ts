import { createHash } from 'node:crypto';
import { basename, extname } from 'node:path';
import { v7 as newId } from 'uuid';
import { z } from 'zod';
import { clientIdSchema, emailSchema, getClient } from '../domain/client.ts';
import { nowIso } from '../domain/clock.ts';
import { DomainError } from '../domain/errors.ts';
import { isFinal } from '../domain/job.ts';
import { deliverySchema, getReport, type Report } from '../domain/report.ts';
import type { DeliveryRow } from '../domain/storage/record-statements.ts';
import { defineJob, type JobContext, type Outcome } from './engine/define.ts';

const payload = z.strictObject({
  reportId: z.string(),
  recipient: emailSchema,
  /** For the list of a client's jobs; the report knows it as well. */
  clientId: clientIdSchema.optional(),
});

const result = deliverySchema;

const contentTypes: Record<Report['format'], string> = {
  pdf: 'application/pdf',
  html: 'text/html',
  markdown: 'text/markdown',
};

/**
 * Mails a report. A mail server may be away for half a day: the waits between the tries add up to eleven hours.
 * A report goes to a recipient once; if a crash leaves it open whether the server took the message,
 * `settings.uncertainMail` decides, and a second copy carries the same Message-ID.
 */
export const reportSend = defineJob(
  {
    type: 'report.send',
    queue: 'mail',
    payload,
    result,
    attempts: 14,
    backoffMs: 5000,
    timeoutMs: 90_000,
    abandon: (tx, job) => tx.giveUpDeliveries(job.id, job.error?.message ?? job.state),
  },
  send,
);

async function send(
  context: JobContext,
  wish: z.infer<typeof payload>,
): Promise<Outcome<z.infer<typeof result>>> {
  const { storage, ports, clock, settings, job } = context;
  if (settings.mailPerMinute) await context.pace('mail', settings.mailPerMinute);
  const report = await getReport(storage, wish.reportId);
  const client = await getClient(storage, report.clientId);
  const domain = /@([^@>]+)>?$/.exec(settings.mailFrom)?.[1] ?? 'msp-toolkit.invalid';
  const recipientKey = createHash('sha256').update(wish.recipient.toLowerCase()).digest('hex').slice(0, 16);

  const delivery = await context.write((tx) => {
    const found = tx.delivery({
      id: newId(),
      reportId: report.id,
      recipient: wish.recipient,
      messageId: `<${report.id}.${recipientKey}@${domain}>`,
      jobId: job.id,
      now: nowIso(clock),
    });
    if (found.state === 'sent') return found;
    const other = found.job_id === job.id ? undefined : tx.job(found.job_id);
    if (found.state === 'sending' && other && !isFinal(other.state)) {
      throw new DomainError('BUSY', `Another job is mailing this report to ${wish.recipient}.`, {
        details: { jobId: other.id },
      });
    }
    if (found.state === 'sending' && settings.uncertainMail === 'park') {
      tx.setDelivery(found.id, 'uncertain', { jobId: job.id });
      return found;
    }
    tx.setDelivery(found.id, 'sending', { jobId: job.id, tried: true });
    return { ...found, tries: found.tries + 1 };
  });
  if (delivery.state === 'sent') return { result: shape(delivery, wish, 'sent', null) };
  if (delivery.state === 'sending' && settings.uncertainMail === 'park') throw uncertain(delivery);
  const again = delivery.state === 'sending' || delivery.state === 'uncertain';
  if (again) {
    context.log.warn(
      { messageId: delivery.message_id },
      'An earlier try may have been delivered; sending again under the same Message-ID',
    );
  }

  context.progress(30, `mailing ${basename(report.path)} to ${wish.recipient}`);
  try {
    const answer = await ports.mailer.send(
      {
        messageId: delivery.message_id,
        to: wish.recipient,
        subject: `${client.name}: ${report.template.replaceAll('-', ' ')}`,
        text: `Attached is the ${report.template.replaceAll('-', ' ')} for ${client.name}.\n\n${settings.companyName}\n`,
        attachments: [
          {
            filename: `${client.id}_${report.template}_${report.generatedAt.slice(0, 10)}${extname(report.path)}`,
            path: report.path,
            contentType: contentTypes[report.format],
          },
        ],
      },
      context.signal,
    );
    const sentAt = nowIso(clock);
    const response = again ? `${answer.response} (an earlier copy may have arrived too)` : answer.response;
    return {
      result: shape({ ...delivery, response }, wish, 'sent', sentAt),
      record: (tx) => tx.setDelivery(delivery.id, 'sent', { response, sentAt }),
    };
  } catch (error) {
    if (!(error instanceof DomainError)) throw error;
    const open = error.code === 'MAIL_UNCERTAIN';
    await context.write((tx) =>
      tx.setDelivery(delivery.id, open ? 'uncertain' : error.retryable ? 'pending' : 'failed', {
        response: error.message,
      }),
    );
    if (open && settings.uncertainMail === 'resend') {
      throw new DomainError('MAIL_UNAVAILABLE', error.message, { details: error.details, cause: error });
    }
    throw error;
  }
}

function shape(
  delivery: DeliveryRow,
  wish: z.infer<typeof payload>,
  state: 'sent',
  sentAt: string | null,
): z.infer<typeof result> {
  return {
    reportId: wish.reportId,
    recipient: wish.recipient,
    state,
    messageId: delivery.message_id,
    tries: delivery.tries,
    response: delivery.response,
    sentAt: sentAt ?? delivery.sent_at,
  };
}

function uncertain(delivery: DeliveryRow): DomainError {
  return new DomainError(
    'MAIL_UNCERTAIN',
    'An earlier try ended without an answer; the message may have arrived.',
    {
      details: { messageId: delivery.message_id },
      hint: 'Ask the recipient, then retry the job, or set mail.whenUncertain to resend.',
    },
  );
}
