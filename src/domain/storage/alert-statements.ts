import type { AlertState, Severity } from '../alert/alert.ts';
import type { Prepare } from './statements.ts';

export interface AlertRow {
  id: string;
  client_id: string;
  device_id: string;
  check_name: string;
  instance: string;
  severity: Severity;
  state: AlertState;
  message: string;
  fingerprint: string;
  open_key: string | null;
  opened_at: string;
  last_at: string;
  count: number;
  acknowledged_at: string | null;
  acknowledged_by: string | null;
  note: string | null;
  until: string | null;
  known_severity: Severity;
  resolved_at: string | null;
  resolved_by: string | null;
  told_at: string | null;
  escalation: number;
}

export interface NoticeRow {
  id: number;
  alert_id: string;
  channel: string;
  event: string;
  created_at: string;
}

const alertColumns = `id, client_id, device_id, check_name, instance, severity, state, message, fingerprint, open_key, opened_at,
  last_at, count, acknowledged_at, acknowledged_by, note, until, known_severity, resolved_at, resolved_by, told_at,
  escalation`;

/** Alerts, what happened to them, and who is to be told. */
export function alertStatements(sql: Prepare) {
  const alert = (id: string) =>
    sql(`select ${alertColumns} from alerts where id = ?`).get(id) as AlertRow | undefined;
  return {
    alert,

    /** Opens an alert, or answers with the one that is open for the same problem. */
    openAlert(
      a: Pick<
        AlertRow,
        'id' | 'client_id' | 'device_id' | 'check_name' | 'instance' | 'severity' | 'message' | 'fingerprint'
      > & { now: string },
    ): AlertRow {
      sql(
        `insert into alerts (id, client_id, device_id, check_name, instance, severity, state, message, fingerprint, open_key,
           opened_at, last_at, count, escalation, known_severity)
         values (@id, @client_id, @device_id, @check_name, @instance, @severity, 'open', @message, @fingerprint, @fingerprint,
           @now, @now, 1, 0, @severity)
         on conflict (open_key) do nothing`,
      ).run(a);
      return sql(`select ${alertColumns} from alerts where open_key = ?`).get(a.fingerprint) as AlertRow;
    },

    putAlert(a: AlertRow): void {
      sql(
        `update alerts set severity = @severity, state = @state, message = @message, open_key = @open_key, last_at = @last_at,
           count = @count, acknowledged_at = @acknowledged_at, acknowledged_by = @acknowledged_by, note = @note,
           until = @until, known_severity = @known_severity, resolved_at = @resolved_at, resolved_by = @resolved_by,
           told_at = @told_at, escalation = @escalation
         where id = @id`,
      ).run(a);
    },

    setAlertTold(id: string, at: string): void {
      sql('update alerts set told_at = ? where id = ?').run(at, id);
    },

    addAlertEvent(
      alertId: string,
      event: { at: string; what: string; who: string; note: string | null },
    ): void {
      sql(
        'insert into alert_events (alert_id, at, what, who, note) values (@alertId, @at, @what, @who, @note)',
      ).run({ alertId, ...event });
    },

    alertEvents(alertId: string): { at: string; what: string; who: string; note: string | null }[] {
      return sql('select at, what, who, note from alert_events where alert_id = ? order by id').all(
        alertId,
      ) as { at: string; what: string; who: string; note: string | null }[];
    },

    /** Alerts, the worst first and of those the newest; without a state all that are not resolved. */
    alerts(filter: {
      state?: string | undefined;
      clientId?: string | undefined;
      severity?: string | undefined;
      limit: number;
    }): AlertRow[] {
      const { state = null, clientId = null, severity = null, limit } = filter;
      return sql(
        `select ${alertColumns} from alerts
         where (case when @state is null then state <> 'resolved' when @state = 'all' then 1 else state = @state end)
           and (@clientId is null or client_id = @clientId) and (@severity is null or severity = @severity)
         order by case severity when 'critical' then 0 when 'warning' then 1 else 2 end, opened_at desc, id desc
         limit @limit`,
      ).all({ state, clientId, severity, limit }) as AlertRow[];
    },

    /** Alerts that are not resolved, by client. */
    countAlerts(): Map<string, number> {
      const rows = sql(
        'select client_id, count(*) as n from alerts where open_key is not null group by client_id',
      ).all() as { client_id: string; n: number }[];
      return new Map(rows.map(({ client_id, n }) => [client_id, n]));
    },

    /** Alerts of a client that lay in a half-open period, oldest first. */
    alertsBetween(clientId: string, from: string, to: string): AlertRow[] {
      return sql(
        `select ${alertColumns} from alerts
         where client_id = @clientId and opened_at < @to and (resolved_at is null or resolved_at >= @from)
         order by opened_at, id`,
      ).all({ clientId, from, to }) as AlertRow[];
    },

    /** Alerts of a client, or of one of its devices, that are not resolved. */
    openAlertsAt(clientId: string, deviceId: string | null): AlertRow[] {
      return sql(
        `select ${alertColumns} from alerts
         where client_id = @clientId and (@deviceId is null or device_id = @deviceId) and open_key is not null`,
      ).all({ clientId, deviceId }) as AlertRow[];
    },

    /** Alerts of a client about one check that are not resolved. */
    openAlertsOf(clientId: string, check: string): AlertRow[] {
      return sql(
        `select ${alertColumns} from alerts where client_id = ? and check_name = ? and open_key is not null`,
      ).all(clientId, check) as AlertRow[];
    },

    /** Alerts whose acknowledgement or snooze has ended. */
    alertsPast(now: string, limit: number): AlertRow[] {
      return sql(
        `select ${alertColumns} from alerts
         where state in ('acknowledged', 'snoozed') and until <= ? order by until limit ?`,
      ).all(now, limit) as AlertRow[];
    },

    /** Open alerts of clients that are not at rest, for those who remind and escalate. */
    openAlerts(): AlertRow[] {
      return sql(
        `select ${alertColumns} from alerts
         where state = 'open'
           and client_id in (select id from clients where status not in ('inactive', 'suspended'))
         order by opened_at`,
      ).all() as AlertRow[];
    },

    /** Adds a notice, or has one that waits for the same alert and channel told as soon as that. */
    addNotice(notice: {
      alertId: string;
      channel: string;
      event: string;
      dueAt: string;
      createdAt: string;
    }): void {
      const waiting = sql(
        `update notices set due_at = min(due_at, @dueAt)
         where alert_id = @alertId and channel = @channel and state = 'waiting'`,
      ).run({ alertId: notice.alertId, channel: notice.channel, dueAt: notice.dueAt }).changes;
      if (waiting > 0) return;
      sql(
        `insert into notices (alert_id, channel, event, due_at, state, created_at)
         values (@alertId, @channel, @event, @dueAt, 'waiting', @createdAt)`,
      ).run(notice);
    },

    /** Whether a channel was told, or is about to be told, that an alert is open. */
    knowsOfAlert(alertId: string, channel: string): boolean {
      return (
        sql(
          `select 1 from notices where alert_id = ? and channel = ? and state not in ('dropped', 'failed') limit 1`,
        ).get(alertId, channel) !== undefined
      );
    },

    /** Takes back what no channel was told yet. */
    dropNotices(alertId: string): void {
      sql(`update notices set state = 'dropped' where alert_id = ? and state = 'waiting'`).run(alertId);
    },

    /** Channels that have something to tell. */
    channelsWithNotices(now: string): string[] {
      return sql(`select distinct channel from notices where state = 'waiting' and due_at <= ?`)
        .pluck()
        .all(now) as string[];
    },

    /** Gives a job all that a channel has to tell until `until`. */
    takeNotices(channel: string, jobId: string, until: string): number {
      return sql(
        `update notices set state = 'taken', job_id = @jobId
         where channel = @channel and state = 'waiting' and due_at <= @until`,
      ).run({ channel, jobId, until }).changes;
    },

    noticesOf(jobId: string): NoticeRow[] {
      return sql(
        'select id, alert_id, channel, event, created_at from notices where job_id = ? order by id',
      ).all(jobId) as NoticeRow[];
    },

    /** Ends the notices of a job as `sent` or `failed`. */
    endNotices(jobId: string, state: 'sent' | 'failed', now: string): void {
      sql(
        `update notices set state = @state, sent_at = case when @state = 'sent' then @now end
         where job_id = @jobId and state in ('taken', 'failed')`,
      ).run({ jobId, state, now });
    },
  };
}
