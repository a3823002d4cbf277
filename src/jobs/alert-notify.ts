import { z } from 'zod';
import { alertSchema, type Severity, severities, toAlert } from '../domain/alert/alert.ts';
import { type AlertItem, messageOf } from '../domain/alert/message.ts';
import { alertEvents, type Tell } from '../domain/alert/settle.ts';
import { type BusinessHours, businessHoursSchema } from '../domain/business-hours.ts';
import { type Clock, nowIso } from '../domain/clock.ts';
import { nextOpening } from '../domain/opening.ts';
import type { ChannelSettings, Settings } from '../domain/settings.ts';
import type { AlertRow } from '../domain/storage/alert-statements.ts';
import type { Storage } from '../domain/storage/storage.ts';
import { defineJob, type JobContext, type Outcome } from './engine/define.ts';

/** An alert that went with the device or client it was about; nothing else tells of its end. */
const removedSchema = z.object({ alert: alertSchema, clientName: z.string(), deviceName: z.string() });

const payload = z.strictObject({ channel: z.string(), removed: z.array(removedSchema).default([]) });

const result = z.object({ channel: z.string(), told: z.number(), response: z.string().nullable() });

/**
 * Tells a channel what it is to be told: all notices that were given to this job, in one message. A receiver that is away
 * is asked again for some hours; after that the job is dead, its notices have failed, and it can be retried by hand.
 */
export const alertNotify = defineJob(
  {
    type: 'alert.notify',
    queue: 'mail',
    payload,
    result,
    attempts: 12,
    backoffMs: 5000,
    timeoutMs: 60_000,
    abandon: (tx, job) => {
      for (const { alert_id } of tx.noticesOf(job.id)) {
        const note = job.error?.message ?? job.state;
        tx.addAlertEvent(alert_id, { at: job.at, what: 'not told', who: 'monitor', note });
      }
      tx.endNotices(job.id, 'failed', job.at);
    },
  },
  notify,
);

async function notify(
  context: JobContext,
  { channel, removed }: z.infer<typeof payload>,
): Promise<Outcome<z.infer<typeof result>>> {
  const { storage, settings, ports, job, clock } = context;
  const notices = storage.read.noticesOf(job.id);
  const standing = notices.flatMap((notice): AlertItem[] => {
    const row = storage.read.alert(notice.alert_id);
    if (!row) return [];
    const event = alertEvents.find((name) => name === notice.event) ?? 'opened';
    const device = storage.read.deviceName(row.device_id) ?? row.device_id;
    const client = storage.read.clientBrief(row.client_id)?.name ?? row.client_id;
    return [{ event, alert: toAlert(row), clientName: client, deviceName: device }];
  });
  const items = [...standing, ...removed.map((item): AlertItem => ({ event: 'resolved', ...item }))];
  if (items.length === 0) return { result: { channel, told: 0, response: null } };
  context.progress(20, `telling ${channel} of ${items.length}`);
  const { response } = await ports.channels.send(
    channel,
    messageOf(job.id, settings.companyName, items),
    context.signal,
  );
  return {
    result: { channel, told: items.length, response },
    record: (tx) => {
      const now = nowIso(clock);
      tx.endNotices(job.id, 'sent', now);
      for (const { alert, event } of standing) {
        tx.addAlertEvent(alert.id, { at: now, what: 'told', who: channel, note: event });
      }
    },
  };
}

/** Whether a channel is there for an alert at all. */
export function listens(channel: ChannelSettings, alert: Pick<AlertRow, 'client_id' | 'severity'>): boolean {
  if (channel.clients && !channel.clients.includes(alert.client_id)) return false;
  return severities.indexOf(alert.severity) >= severities.indexOf(channel.minSeverity);
}

/** When a client's people may be told of something of this severity, in ms since the epoch. */
function tellFrom(
  hours: BusinessHours | undefined,
  timezone: string,
  severity: Severity,
  now: number,
): number {
  if (!hours || hours.outside === 'all') return now;
  if (hours.outside === 'critical' && severity === 'critical') return now;
  return nextOpening(hours, timezone, now);
}

/**
 * Notes down what channels are to be told; whoever runs the schedules hands it to a job when it is due. The first of
 * several waits a moment for the others, and outside of a client's business hours for the next opening. What is over
 * before anybody heard of it is not told at all.
 */
export function teller(
  parts: { settings: Pick<Settings, 'alerts'>; storage: Pick<Storage, 'read'>; clock: Clock },
  clientId: string,
): Tell {
  const { channels, groupMs } = parts.settings.alerts;
  if (channels.length === 0) return () => {};
  const { hours, timezone } = hoursOf(parts.storage, clientId);
  return (tx, alert, event) => {
    const now = parts.clock.now();
    // What was to be told of it is over before anybody heard of it.
    if (event === 'resolved') tx.dropNotices(alert.id);
    for (const channel of channels) {
      const knows = tx.knowsOfAlert(alert.id, channel.name);
      if (event === 'resolved' ? !knows : !listens(channel, alert) || (channel.afterMs > 0 && !knows))
        continue;
      // Whoever was told of it hears of its end at once, whatever the hour.
      const from =
        event === 'resolved' ? now.getTime() : tellFrom(hours, timezone, alert.severity, now.getTime());
      tx.addNotice({
        alertId: alert.id,
        channel: channel.name,
        event,
        dueAt: new Date(from + groupMs).toISOString(),
        createdAt: now.toISOString(),
      });
    }
    if (event !== 'resolved') tx.setAlertTold(alert.id, now.toISOString());
  };
}

/** The hours of a client, which its metadata says. */
function hoursOf(
  storage: Pick<Storage, 'read'>,
  clientId: string,
): { hours: BusinessHours | undefined; timezone: string } {
  const client = storage.read.clientBrief(clientId);
  const hours = businessHoursSchema
    .optional()
    .catch(undefined)
    .parse(client && (JSON.parse(client.metadata) as { businessHours?: unknown }).businessHours);
  return { hours, timezone: client?.timezone ?? 'UTC' };
}

/** Whether people of the alert's client may be told of it now. */
export function mayTellNow(
  storage: Pick<Storage, 'read'>,
  alert: Pick<AlertRow, 'client_id' | 'severity'>,
  now: number,
): boolean {
  const { hours, timezone } = hoursOf(storage, alert.client_id);
  return tellFrom(hours, timezone, alert.severity, now) <= now;
}
