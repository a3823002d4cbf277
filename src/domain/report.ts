import { defineEntity, p } from '@mikro-orm/sqlite';
import type { InferEntity } from '@mikro-orm/sqlite';
import { z } from 'zod';
import { ClientEntity } from './client.ts';
import { DomainError } from './errors.ts';
import type { Storage } from './storage/storage.ts';

export const reportFormats = ['pdf', 'html', 'markdown'] as const;
export type ReportFormat = (typeof reportFormats)[number];

export const ReportEntity = defineEntity({
  name: 'Report',
  tableName: 'reports',
  properties: {
    id: p.string().primary(),
    client: () => p.manyToOne(ClientEntity).mapToPk().deleteRule('cascade').index(false),
    jobId: p.string().unique(),
    template: p.string(),
    format: p.string().$type<ReportFormat>(),
    path: p.string(),
    bytes: p.integer(),
    periodFrom: p.string(),
    periodTo: p.string(),
    generatedAt: p.string(),
  },
  indexes: [{ properties: ['client', 'generatedAt'] }],
});

export const deliveryStates = ['pending', 'sending', 'sent', 'failed', 'uncertain'] as const;

/**
 * One report on its way to one recipient. E-mail is at-least-once: `uncertain` says that the server may or may
 * not have taken the message, and the same Message-ID goes out on every try.
 */
export const DeliveryEntity = defineEntity({
  name: 'Delivery',
  tableName: 'deliveries',
  properties: {
    id: p.string().primary(),
    report: () => p.manyToOne(ReportEntity).mapToPk().deleteRule('cascade').index(false),
    recipient: p.string(),
    state: p.string().$type<(typeof deliveryStates)[number]>(),
    messageId: p.string(),
    jobId: p.string(),
    tries: p.integer(),
    response: p.string().nullable(),
    createdAt: p.string(),
    sentAt: p.string().nullable(),
  },
  uniques: [{ properties: ['report', 'recipient'] }],
});

export const reportSchema = z.object({
  id: z.string(),
  clientId: z.string(),
  template: z.string(),
  format: z.enum(reportFormats),
  path: z.string(),
  bytes: z.number(),
  period: z.object({ from: z.string(), to: z.string() }),
  generatedAt: z.string(),
});
export type Report = z.infer<typeof reportSchema>;

export const deliverySchema = z.object({
  reportId: z.string(),
  recipient: z.string(),
  state: z.enum(deliveryStates),
  messageId: z.string(),
  tries: z.number(),
  response: z.string().nullable(),
  sentAt: z.string().nullable(),
});
export type Delivery = z.infer<typeof deliverySchema>;

function toReport(row: InferEntity<typeof ReportEntity>): Report {
  return {
    id: row.id,
    clientId: row.client,
    template: row.template,
    format: row.format,
    path: row.path,
    bytes: row.bytes,
    period: { from: row.periodFrom, to: row.periodTo },
    generatedAt: row.generatedAt,
  };
}

function toDelivery(row: InferEntity<typeof DeliveryEntity>): Delivery {
  return {
    reportId: row.report,
    recipient: row.recipient,
    state: row.state,
    messageId: row.messageId,
    tries: row.tries,
    response: row.response ?? null,
    sentAt: row.sentAt ?? null,
  };
}

/** Throws REPORT_NOT_FOUND. */
export async function getReport(storage: Storage, id: string): Promise<Report> {
  const row = await storage.em().findOne(ReportEntity, { id });
  if (!row) {
    throw new DomainError('REPORT_NOT_FOUND', `There is no report with the id "${id}".`, {
      details: { reportId: id },
      hint: 'See the ids with: msp-toolkit report list',
    });
  }
  return toReport(row);
}

/** Newest first. */
export async function listReports(
  storage: Storage,
  filter: { clientId?: string; limit?: number } = {},
): Promise<Report[]> {
  const rows = await storage.em().find(ReportEntity, filter.clientId ? { client: filter.clientId } : {}, {
    orderBy: { generatedAt: 'desc', id: 'desc' },
    limit: filter.limit ?? 100,
  });
  return rows.map(toReport);
}

export async function listDeliveries(storage: Storage, reportId: string): Promise<Delivery[]> {
  const rows = await storage
    .em()
    .find(DeliveryEntity, { report: reportId }, { orderBy: { createdAt: 'asc' } });
  return rows.map(toDelivery);
}
