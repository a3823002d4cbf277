import { reopen } from '../domain/alert/settle.ts';
import { covers, isOpen, toWindow } from '../domain/maintenance.ts';
import type { Settings } from '../domain/settings.ts';
import type { AlertRow } from '../domain/storage/alert-statements.ts';
import type { Statements } from '../domain/storage/statements.ts';
import { alertNotify, listens, mayTellNow, teller } from '../jobs/alert-notify.ts';
import type { Engine } from '../jobs/engine/engine.ts';

/** Alerts whose time is up that one transaction sees to. */
const atOnce = 200;

/**
 * What alerts need beside results: acknowledgements and snoozes that end, reminders, escalation, and the hand-over of
 * what is due to be told. Returns how many messages were asked for.
 */
export async function watchAlerts(engine: Engine, settings: Pick<Settings, 'alerts'>): Promise<number> {
  const { storage, clock } = engine;
  const now = clock.now();
  const iso = now.toISOString();
  // Once somebody is told, of all that came up so far.
  const soon = new Date(now.getTime() + settings.alerts.groupMs).toISOString();
  const past = storage.read.alertsPast(iso, atOnce);
  const open = storage.read.openAlerts();
  const duties = open.filter((alert) => isDue(alert, settings, now.getTime(), storage.read));
  if (past.length > 0 || duties.length > 0) {
    await storage.write((tx) => {
      for (const { id } of past) endMark(tx, id);
      for (const { id } of duties) remindAndEscalate(tx, id);
    });
  }
  if (storage.read.channelsWithNotices(iso).length === 0) return 0;
  const asked = await storage.write((tx) => {
    const channels = tx.channelsWithNotices(iso);
    for (const channel of channels) {
      // One message of a channel after the other: the end of an alert must not overtake its beginning.
      const asked = { requestedBy: 'alerts', serialKey: `alerts:${channel}` };
      const { id } = engine.insert(tx, alertNotify, { channel }, asked);
      tx.takeNotices(channel, id, soon);
    }
    return channels.length;
  });
  engine.relay.kick();
  return asked;

  function tellOf(alert: AlertRow) {
    return teller({ settings, storage, clock }, alert.client_id);
  }

  /** Looks again inside the transaction: somebody may have been faster. */
  function endMark(tx: Statements, id: string): void {
    const alert = tx.alert(id);
    if (!alert || !(alert.state === 'acknowledged' || alert.state === 'snoozed')) return;
    if (alert.until === null || alert.until > iso) return;
    const note = alert.state === 'snoozed' ? 'the snooze has ended' : 'the acknowledgement has ended';
    reopen(alert);
    tx.putAlert(alert);
    tx.addAlertEvent(id, { at: iso, what: 'reopened', who: 'monitor', note });
    if (!isInMaintenance(tx, alert)) tellOf(alert)(tx, alert, 'reminder');
  }

  function remindAndEscalate(tx: Statements, id: string): void {
    const alert = tx.alert(id);
    if (!alert || alert.state !== 'open' || isInMaintenance(tx, alert)) return;
    if (wantsReminder(alert, settings, now.getTime())) {
      tx.addAlertEvent(id, { at: iso, what: 'reminder', who: 'monitor', note: null });
      tellOf(alert)(tx, alert, 'reminder');
    }
    if (!mayTellNow(storage, alert, now.getTime())) return;
    for (const channel of channelsToEscalateTo(alert, settings, now.getTime(), tx)) {
      tx.addAlertEvent(id, { at: iso, what: 'escalated', who: 'monitor', note: channel });
      tx.addNotice({ alertId: id, channel, event: 'escalated', dueAt: iso, createdAt: iso });
    }
  }

  function isInMaintenance(tx: Statements, alert: AlertRow): boolean {
    const thing = { clientId: alert.client_id, deviceId: alert.device_id, check: alert.check_name };
    return tx
      .windows(alert.client_id, iso)
      .map(toWindow)
      .some((window) => covers(window, thing) && isOpen(window, now.getTime()));
  }
}

function isDue(alert: AlertRow, settings: Pick<Settings, 'alerts'>, now: number, tx: Statements): boolean {
  return wantsReminder(alert, settings, now) || channelsToEscalateTo(alert, settings, now, tx).length > 0;
}

function wantsReminder(alert: AlertRow, { alerts }: Pick<Settings, 'alerts'>, now: number): boolean {
  if (alerts.remindMs === null || alerts.channels.length === 0) return false;
  return Date.parse(alert.told_at ?? alert.opened_at) + alerts.remindMs <= now;
}

/** Channels that hear of an alert only once it has been open for a while, and have not heard of it. */
function channelsToEscalateTo(
  alert: AlertRow,
  { alerts }: Pick<Settings, 'alerts'>,
  now: number,
  tx: Statements,
): string[] {
  return alerts.channels
    .filter((c) => c.afterMs > 0 && Date.parse(alert.opened_at) + c.afterMs <= now && listens(c, alert))
    .filter((c) => !tx.knowsOfAlert(alert.id, c.name))
    .map((c) => c.name);
}
