import {
  type Alert,
  type AlertEvent,
  alertNotFound,
  type AlertState,
  type Severity,
  toAlert,
} from '../../domain/alert/alert.ts';
import { reopen, resolve } from '../../domain/alert/settle.ts';
import { type Simulated } from '../../domain/alert/simulate.ts';
import type { Actor } from '../../domain/audit.ts';
import type { ThresholdSettings } from '../../domain/check/thresholds.ts';
import { getClient } from '../../domain/client.ts';
import { nowIso } from '../../domain/clock.ts';
import { listDevices } from '../../domain/device.ts';
import { DomainError } from '../../domain/errors.ts';
import {
  addMaintenance,
  isOpen,
  type MaintenanceInput,
  type MaintenanceWindow,
  plannedWindow,
  removeMaintenance,
  toWindow,
} from '../../domain/maintenance.ts';
import type { Storage } from '../../domain/storage/storage.ts';
import type { AlertRow } from '../../domain/storage/alert-statements.ts';
import type { Statements } from '../../domain/storage/statements.ts';
import type { Config } from '../config.ts';
import { catalogue } from '../../workers/probes/index.ts';
import { alertSettings, monitorSettings } from '../ports.ts';

export interface AlertFilter {
  /** Default: all that are not resolved. */
  state?: AlertState | 'all' | undefined;
  clientId?: string | undefined;
  severity?: Severity | undefined;
  limit?: number | undefined;
}

export interface SimulationWish {
  sinceMs: number;
  clientId?: string | undefined;
  /** Laid over every other level. */
  thresholds: ThresholdSettings;
  attempts?: number | undefined;
  maintenance: MaintenanceInput[];
}

export interface AlertDetail extends Alert {
  timeline: AlertEvent[];
}

export interface Alerts {
  /** The worst first, and of those the newest. */
  list(filter?: AlertFilter): Promise<Alert[]>;
  /** Throws ALERT_NOT_FOUND. */
  get(id: string): Promise<AlertDetail>;
  /** Says that somebody is at it, until `until` (ISO 8601) if given. Throws ALERT_NOT_FOUND or ALERT_STATE. */
  acknowledge(id: string, note: string, until?: string): Promise<Alert>;
  /** Has nobody told of it until `until`, an ISO 8601 time to come. */
  snooze(id: string, until: string, note?: string): Promise<Alert>;
  /** Which alerts there would have been with other rules, from what is stored. */
  simulate(wish: SimulationWish): Promise<Simulated & { actual: number }>;
  /** Ends it by hand; it is raised anew if its cause is still found, try by try. */
  resolve(id: string, note?: string): Promise<Alert>;
}

export interface Maintenance {
  /** Windows that are not over; with those that are. */
  list(options?: {
    clientId?: string | undefined;
    past?: boolean | undefined;
  }): Promise<(MaintenanceWindow & { open: boolean })[]>;
  add(input: MaintenanceInput): Promise<MaintenanceWindow>;
  /** Ends a window now. Throws MAINTENANCE_NOT_FOUND. */
  remove(id: string): Promise<MaintenanceWindow>;
}

interface Parts {
  storage: Storage;
  who: Actor;
  config: Config;
}

export function openAlerts({ storage, who, config }: Parts): Alerts {
  const { clock } = who;

  /** Changes an alert that is not resolved, with an entry in its timeline and in the audit trail. */
  async function change(
    id: string,
    what: string,
    note: string | null,
    work: (alert: AlertRow, tx: Statements, now: string) => void,
  ): Promise<Alert> {
    const { teller } = await import('../../jobs/alert-notify.ts');
    return storage.write((tx) => {
      const now = nowIso(clock);
      const alert = tx.alert(id);
      if (!alert) throw alertNotFound(id);
      if (alert.state === 'resolved') {
        throw new DomainError('ALERT_STATE', `The alert ${id} was resolved at ${alert.resolved_at}.`, {
          details: { alertId: id, state: alert.state },
          hint: 'See what is open with: msp-toolkit alert list',
        });
      }
      work(alert, tx, now);
      if (what === 'resolved') {
        const tell = teller({ settings: { alerts: alertSettings(config) }, storage, clock }, alert.client_id);
        resolve(tx, alert, who.actor, note, { now, tell });
        tx.releaseState(id);
      } else {
        // Nobody has to hear of it any more who has not.
        tx.dropNotices(id);
        tx.putAlert(alert);
        const until = alert.until ? ` until ${alert.until}` : '';
        tx.addAlertEvent(id, { at: now, what: `${what}${until}`, who: who.actor, note });
      }
      const details = { note, until: alert.until };
      tx.addAudit({ at: now, actor: who.actor, action: `alert.${what}`, subject: `alert:${id}`, details });
      return toAlert(alert);
    });
  }

  function end(until: string, now: string): string {
    const at = Date.parse(until);
    if (!Number.isFinite(at) || new Date(at).toISOString() <= now) {
      throw new DomainError('VALIDATION', `"${until}" is not a time to come.`, {
        hint: 'Give a duration such as 4h or 2d, or a time such as 2026-12-01T08:00:00Z.',
      });
    }
    return new Date(at).toISOString();
  }

  return {
    list: async (filter = {}) => storage.read.alerts({ ...filter, limit: filter.limit ?? 200 }).map(toAlert),
    async get(id) {
      const row = storage.read.alert(id);
      if (!row) throw alertNotFound(id);
      return { ...toAlert(row), timeline: storage.read.alertEvents(id) };
    },
    acknowledge: (id, note, until) =>
      change(id, 'acknowledged', note, (alert, _tx, now) => {
        reopen(alert);
        alert.state = 'acknowledged';
        alert.until = until === undefined ? null : end(until, now);
        alert.acknowledged_at = now;
        alert.acknowledged_by = who.actor;
        alert.note = note;
        alert.known_severity = alert.severity;
      }),
    snooze: (id, until, note) =>
      change(id, 'snoozed', note ?? null, (alert, _tx, now) => {
        alert.state = 'snoozed';
        alert.until = end(until, now);
        alert.note = note ?? null;
        alert.known_severity = alert.severity;
      }),
    resolve: (id, note) => change(id, 'resolved', note ?? null, () => {}),

    async simulate({ sinceMs, clientId, thresholds, attempts, maintenance }) {
      const [{ simulate }, { thresholdLevels }, { effectiveThresholds }] = await Promise.all([
        import('../../domain/alert/simulate.ts'),
        import('../../domain/check/monitoring.ts'),
        import('../../domain/check/thresholds.ts'),
      ]);
      if (clientId) await getClient(storage, clientId);
      const to = clock.now().getTime() + 1;
      const from = to - sinceMs;
      const since = new Date(from).toISOString();
      const settings = monitorSettings(config);
      // As if they had been planned all the while.
      const planned = maintenance.map((wish) => ({ ...plannedWindow(wish, who), createdAt: since }));
      const total: Simulated & { actual: number } = { alerts: [], results: 0, coarse: 0, actual: 0 };
      for (const id of clientId ? [clientId] : storage.read.clientIds()) {
        const client = storage.read.clientBrief(id);
        if (!client) continue;
        const devices = new Map((await listDevices(storage, { clientId: id })).map((d) => [d.id, d]));
        const levels = thresholdLevels(settings, client);
        const simulated = { from: 'simulation', settings: thresholds };
        const shared = effectiveThresholds(catalogue, [...levels, simulated]);
        const found = simulate(storage.read, {
          clientId: id,
          timezone: client.timezone,
          from,
          to,
          catalogue,
          limits(deviceId) {
            const own = devices.get(deviceId)?.metadata.thresholds;
            const level = { from: 'device', settings: own };
            return own ? effectiveThresholds(catalogue, [...levels, level, simulated]) : shared;
          },
          policy: { ...settings.state, attempts: attempts ?? settings.state.attempts },
          windows: [...storage.read.windows(id, since).map(toWindow), ...planned],
        });
        total.alerts.push(...found.alerts);
        total.results += found.results;
        total.coarse += found.coarse;
        total.actual += storage.read
          .alertsBetween(id, since, new Date(to).toISOString())
          .filter((a) => a.opened_at >= since).length;
      }
      return total;
    },
  };
}

export function openMaintenance({ storage, who }: Pick<Parts, 'storage' | 'who'>): Maintenance {
  return {
    async list({ clientId, past = false } = {}) {
      const now = who.clock.now();
      return storage.read.windows(clientId ?? null, past ? '' : now.toISOString()).map((row) => {
        const window = toWindow(row);
        return { ...window, open: isOpen(window, now.getTime()) };
      });
    },
    add: (input) => addMaintenance(storage, who, input),
    remove: (id) => removeMaintenance(storage, who, id),
  };
}
