import { createHash } from 'node:crypto';
import { defineEntity, p } from '@mikro-orm/sqlite';
import { z } from 'zod';
import type { Status } from '../check/check.ts';
import { ClientEntity } from '../client.ts';
import { DeviceEntity } from '../device.ts';
import { DomainError } from '../errors.ts';
import type { AlertRow } from '../storage/alert-statements.ts';

export const severities = ['info', 'warning', 'critical'] as const;
export type Severity = (typeof severities)[number];

export const alertStates = ['open', 'acknowledged', 'snoozed', 'resolved'] as const;
export type AlertState = (typeof alertStates)[number];

/**
 * A problem that somebody ought to know of. While it lasts there is one alert for it, however its values change:
 * `openKey` is its fingerprint until it is resolved. `knownSeverity` is how bad people know it to be: as they were told, or
 * as it was when they acknowledged or snoozed it. If it gets worse than that, it is open again and told.
 */
export const AlertEntity = defineEntity({
  name: 'Alert',
  tableName: 'alerts',
  properties: {
    id: p.string().primary(),
    client: () => p.manyToOne(ClientEntity).mapToPk().deleteRule('cascade').index(false),
    device: () => p.manyToOne(DeviceEntity).mapToPk().deleteRule('cascade').index(false),
    check: p.string().fieldName('check_name'),
    instance: p.string(),
    severity: p.string().$type<Severity>(),
    state: p.string().$type<AlertState>(),
    message: p.string(),
    fingerprint: p.string(),
    openKey: p.string().nullable().unique(),
    openedAt: p.string(),
    lastAt: p.string(),
    count: p.integer(),
    acknowledgedAt: p.string().nullable(),
    acknowledgedBy: p.string().nullable(),
    note: p.string().nullable(),
    until: p.string().nullable(),
    knownSeverity: p.string().$type<Severity>(),
    resolvedAt: p.string().nullable(),
    resolvedBy: p.string().nullable(),
    toldAt: p.string().nullable(),
    escalation: p.integer(),
  },
  indexes: [{ properties: ['client', 'openedAt'] }, { properties: ['state', 'until'] }],
});

/** What happened to an alert, one line each; entries are only ever added. */
export const AlertEventEntity = defineEntity({
  name: 'AlertEvent',
  tableName: 'alert_events',
  properties: {
    id: p.integer().primary().autoincrement(),
    alert: () => p.manyToOne(AlertEntity).mapToPk().deleteRule('cascade').index(false),
    at: p.string(),
    what: p.string(),
    who: p.string(),
    note: p.string().nullable(),
  },
  indexes: [{ properties: ['alert', 'id'] }],
});

/** Something to be told through a channel: an event of an alert, from `dueAt` on, by the job that takes it. */
export const NoticeEntity = defineEntity({
  name: 'Notice',
  tableName: 'notices',
  properties: {
    id: p.integer().primary().autoincrement(),
    alert: () => p.manyToOne(AlertEntity).mapToPk().deleteRule('cascade').index(false),
    channel: p.string(),
    event: p.string(),
    dueAt: p.string(),
    jobId: p.string().nullable(),
    state: p.string(),
    createdAt: p.string(),
    sentAt: p.string().nullable(),
  },
  indexes: [{ properties: ['state', 'dueAt'] }, { properties: ['alert'] }, { properties: ['jobId'] }],
});

export const alertSchema = z.object({
  id: z.string(),
  clientId: z.string(),
  deviceId: z.string(),
  check: z.string(),
  instance: z.string().nullable(),
  severity: z.enum(severities),
  state: z.enum(alertStates),
  message: z.string(),
  fingerprint: z.string(),
  openedAt: z.string(),
  lastAt: z.string().describe('when it was last found bad'),
  count: z.number().describe('how often it was found bad'),
  acknowledgedAt: z.string().nullable(),
  acknowledgedBy: z.string().nullable(),
  note: z.string().nullable().describe('why it was acknowledged or snoozed'),
  until: z.string().nullable().describe('when the acknowledgement or the snooze ends'),
  resolvedAt: z.string().nullable(),
  resolvedBy: z.string().nullable(),
});
export type Alert = z.infer<typeof alertSchema>;

export const alertEventSchema = z.object({
  at: z.string(),
  what: z.string(),
  who: z.string(),
  note: z.string().nullable(),
});
export type AlertEvent = z.infer<typeof alertEventSchema>;

export function toAlert(row: AlertRow): Alert {
  return {
    id: row.id,
    clientId: row.client_id,
    deviceId: row.device_id,
    check: row.check_name,
    instance: row.instance || null,
    severity: row.severity,
    state: row.state,
    message: row.message,
    fingerprint: row.fingerprint,
    openedAt: row.opened_at,
    lastAt: row.last_at,
    count: row.count,
    acknowledgedAt: row.acknowledged_at,
    acknowledgedBy: row.acknowledged_by,
    note: row.note,
    until: row.until,
    resolvedAt: row.resolved_at,
    resolvedBy: row.resolved_by,
  };
}

export function alertNotFound(id: string): DomainError {
  return new DomainError('ALERT_NOT_FOUND', `There is no alert with the id "${id}".`, {
    details: { alertId: id },
    hint: 'See the ids with: msp-toolkit alert list',
  });
}

/** What makes two findings the same problem: where it is, never how bad or which value. */
export function fingerprintOf(thing: {
  clientId: string;
  deviceId: string;
  check: string;
  instance: string;
}): string {
  const text = JSON.stringify([thing.clientId, thing.deviceId, thing.check, thing.instance]);
  return createHash('sha256').update(text).digest('hex').slice(0, 20);
}

/** What is not known ought to be looked at, too. */
export function severityOf(status: Status): Severity {
  return status === 'critical' ? 'critical' : 'warning';
}

export function isWorse(a: Severity, b: Severity): boolean {
  return severities.indexOf(a) > severities.indexOf(b);
}
