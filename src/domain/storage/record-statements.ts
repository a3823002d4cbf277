import type { Prepare } from './statements.ts';

export interface DeviceRow {
  id: string;
  name: string;
  type: string;
  rmm_device_id: string | null;
  metadata: string;
}

export interface DeliveryRow {
  id: string;
  state: string;
  message_id: string;
  tries: number;
  response: string | null;
  sent_at: string | null;
  job_id: string;
}

/** What jobs leave behind: reports, deliveries, audit entries. */
export function recordStatements(sql: Prepare) {
  return {
    /** All clients by id, under the names of their JSON form; metadata still as text. */
    clients(filter: { status?: string; tier?: string }): (Record<string, unknown> & { metadata: string })[] {
      const { status = null, tier = null } = filter;
      return sql(
        `select id, name, contact_email as "contactEmail", tier, status, timezone, metadata,
           created_at as "createdAt", updated_at as "updatedAt"
         from clients
         where (@status is null or status = @status) and (@tier is null or tier = @tier) order by id`,
      ).all({ status, tier }) as (Record<string, unknown> & { metadata: string })[];
    },

    /** How much hangs on a client. */
    footprint(clientId: string): { devices: number; checks: number; reports: number; deliveries: number } {
      return sql(
        `select (select count(*) from devices where client_id = @clientId) as devices,
           (select count(*) from check_states where client_id = @clientId) as checks,
           (select count(*) from reports where client_id = @clientId) as reports,
           (select count(*) from deliveries d join reports r on r.id = d.report_id
            where r.client_id = @clientId) as deliveries`,
      ).get({ clientId }) as { devices: number; checks: number; reports: number; deliveries: number };
    },

    /** Clients that are neither inactive nor suspended. */
    activeClientIds(): string[] {
      return sql(`select id from clients where status not in ('inactive', 'suspended') order by id`)
        .pluck()
        .all() as string[];
    },

    /** What a client is to its monitoring, metadata still as text. */
    clientBrief(
      id: string,
    ): { id: string; name: string; tier: string; timezone: string; metadata: string } | undefined {
      return sql('select id, name, tier, timezone, metadata from clients where id = ?').get(id) as
        | { id: string; name: string; tier: string; timezone: string; metadata: string }
        | undefined;
    },

    clientTimezone(id: string): string | undefined {
      return sql('select timezone from clients where id = ?').pluck().get(id) as string | undefined;
    },

    clientExists(id: string): boolean {
      return sql('select 1 from clients where id = ?').get(id) !== undefined;
    },

    /** The devices of a client, metadata still as text. */
    devicesOf(clientId: string): DeviceRow[] {
      return sql(
        'select id, name, type, rmm_device_id, metadata from devices where client_id = ? order by name',
      ).all(clientId) as DeviceRow[];
    },

    deviceName(id: string): string | undefined {
      return sql('select name from devices where id = ?').pluck().get(id) as string | undefined;
    },

    /** Notes when devices last answered (null: they did not). Answers with the ids of those that are still there. */
    setDevicesSeen(seen: readonly (readonly [id: string, at: string | null])[]): Set<string> {
      return new Set(
        sql(
          `update devices set last_seen = case when seen.at is null or last_seen >= seen.at then last_seen else seen.at end
           from (select value ->> 0 as id, value ->> 1 as at from json_each(?)) as seen
           where devices.id = seen.id returning devices.id`,
        )
          .pluck()
          .all(JSON.stringify(seen)) as string[],
      );
    },

    setDeviceFacts(id: string, facts: Record<string, unknown>): void {
      const metadata = sql('select metadata from devices where id = ?').pluck().get(id);
      if (typeof metadata !== 'string') return;
      const merged = { ...(JSON.parse(metadata) as Record<string, unknown>), facts };
      sql('update devices set metadata = ? where id = ?').run(JSON.stringify(merged), id);
    },

    setClientStatus(id: string, status: string, now: string): void {
      sql('update clients set status = ?, updated_at = ? where id = ?').run(status, now, id);
    },

    addReport(report: {
      id: string;
      clientId: string;
      jobId: string;
      template: string;
      format: string;
      path: string;
      bytes: number;
      periodFrom: string;
      periodTo: string;
      generatedAt: string;
    }): void {
      sql(
        `insert into reports (id, client_id, job_id, template, format, path, bytes, period_from, period_to, generated_at)
         values (@id, @clientId, @jobId, @template, @format, @path, @bytes, @periodFrom, @periodTo, @generatedAt)`,
      ).run(report);
    },

    /** The delivery of a report to a recipient, made if it isn't there. */
    delivery(input: {
      id: string;
      reportId: string;
      recipient: string;
      messageId: string;
      jobId: string;
      now: string;
    }): DeliveryRow {
      sql(
        `insert into deliveries (id, report_id, recipient, state, message_id, job_id, tries, created_at)
         values (@id, @reportId, @recipient, 'pending', @messageId, @jobId, 0, @now)
         on conflict (report_id, recipient) do nothing`,
      ).run(input);
      return sql(
        `select id, state, message_id, tries, response, sent_at, job_id from deliveries
         where report_id = ? and recipient = ?`,
      ).get(input.reportId, input.recipient) as DeliveryRow;
    },

    setDelivery(
      id: string,
      state: string,
      change: { response?: string; sentAt?: string; jobId?: string; tried?: boolean },
    ): void {
      sql(
        `update deliveries set state = @state, response = coalesce(@response, response),
           sent_at = coalesce(@sentAt, sent_at), job_id = coalesce(@jobId, job_id), tries = tries + @tried
         where id = @id`,
      ).run({
        id,
        state,
        response: change.response ?? null,
        sentAt: change.sentAt ?? null,
        jobId: change.jobId ?? null,
        tried: change.tried ? 1 : 0,
      });
    },

    /** A job that mails no more: what it had not begun has failed; what it was in the middle of may have arrived. */
    giveUpDeliveries(jobId: string, reason: string): void {
      sql(
        `update deliveries set response = coalesce(response, @reason),
           state = case state when 'sending' then 'uncertain' else 'failed' end
         where job_id = @jobId and state in ('pending', 'sending')`,
      ).run({ jobId, reason });
    },

    addAudit(entry: { at: string; actor: string; action: string; subject: string; details: unknown }): void {
      sql(
        'insert into audit_entries (at, actor, action, subject, details) values (@at, @actor, @action, @subject, @details)',
      ).run({ ...entry, details: JSON.stringify(entry.details) });
    },

    /** The subjects of an actor's acts of one kind, in order. */
    auditSubjects(actor: string, action: string): string[] {
      return sql('select subject from audit_entries where actor = ? and action = ? order by id')
        .pluck()
        .all(actor, action) as string[];
    },

    /** Who did acts of one kind, in order. */
    auditActors(action: string): string[] {
      return sql('select actor from audit_entries where action = ? order by id')
        .pluck()
        .all(action) as string[];
    },

    auditCount(actor: string): number {
      return sql('select count(*) from audit_entries where actor = ?').pluck().get(actor) as number;
    },
  };
}
