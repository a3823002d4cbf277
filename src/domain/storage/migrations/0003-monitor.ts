import { Migration } from '@mikro-orm/migrations';

/**
 * The monitor: states, their spans, raw runs and what they are rolled up to, maintenance windows and alerts. Results
 * that were kept one by one become states, spans and runs.
 */
export class Monitor extends Migration {
  override up(): void {
    this.addSql(`
      create table "check_states" (
        "id" integer not null primary key autoincrement,
        "client_id" text not null,
        "device_id" text not null,
        "check_name" text not null,
        "instance" text not null,
        "status" text not null,
        "hard" text not null,
        "tries" integer not null,
        "since" text not null,
        "at" text not null,
        "hold_until" text not null,
        "message" text not null,
        "vals" json not null,
        "limits" json null,
        "ms" double not null,
        "changes" integer not null,
        "flapping" integer not null,
        "unreachable" integer not null,
        "known" integer not null,
        "span_from" integer not null,
        "retired_at" text null,
        "alert_id" text null,
        constraint "check_states_client_id_foreign" foreign key ("client_id") references "clients" ("id") on delete cascade,
        constraint "check_states_device_id_foreign" foreign key ("device_id") references "devices" ("id") on delete cascade
      )
    `);
    this.addSql(`create index "check_states_client_id_index" on "check_states" ("client_id")`);
    this.addSql(
      `create unique index "check_states_device_id_check_name_instance_unique" on "check_states" ("device_id", "check_name", "instance")`,
    );
    this.addSql(`
      create table "state_spans" (
        "state_id" integer not null,
        "from_ms" integer not null,
        "until_ms" integer not null,
        "status" text not null,
        "message" text not null,
        primary key ("state_id", "from_ms"),
        constraint "state_spans_state_id_foreign" foreign key ("state_id") references "check_states" ("id") on delete cascade
      )
    `);
    this.addSql(`
      create table "check_runs" (
        "job_id" text not null,
        "part" integer not null,
        "client_id" text not null,
        "at" integer not null,
        "data" blob not null,
        primary key ("job_id", "part"),
        constraint "check_runs_client_id_foreign" foreign key ("client_id") references "clients" ("id") on delete cascade
      )
    `);
    this.addSql(`create index "check_runs_client_id_at_index" on "check_runs" ("client_id", "at")`);
    this.addSql(`
      create table "check_metrics" (
        "id" integer not null primary key autoincrement,
        "state_id" integer not null,
        "name" text not null,
        "unit" text null,
        constraint "check_metrics_state_id_foreign" foreign key ("state_id") references "check_states" ("id") on delete cascade
      )
    `);
    this.addSql(
      `create unique index "check_metrics_state_id_name_unique" on "check_metrics" ("state_id", "name")`,
    );
    this.addSql(`
      create table "rollups" (
        "id" integer not null primary key autoincrement,
        "client_id" text not null,
        "level" text not null,
        "start_ms" integer not null,
        "until_ms" integer not null,
        "part" integer not null,
        "first_metric" integer not null,
        "last_metric" integer not null,
        "data" blob not null,
        constraint "rollups_client_id_foreign" foreign key ("client_id") references "clients" ("id") on delete cascade
      )
    `);
    this.addSql(
      `create unique index "rollups_client_id_level_start_ms_part_unique" on "rollups" ("client_id", "level", "start_ms", "part")`,
    );
    this.addSql(`
      create table "history_cursors" (
        "client_id" text not null primary key,
        "hour_until_ms" integer not null,
        "day_until_ms" integer not null,
        constraint "history_cursors_client_id_foreign" foreign key ("client_id") references "clients" ("id") on update cascade on delete cascade
      )
    `);
    this.addSql(`
      create table "maintenance_windows" (
        "id" text not null primary key,
        "client_id" text null,
        "device_id" text null,
        "checks" json null,
        "reason" text not null,
        "from_at" text null,
        "to_at" text null,
        "cron" text null,
        "duration_minutes" integer null,
        "timezone" text null,
        "created_by" text not null,
        "created_at" text not null,
        "removed_at" text null,
        constraint "maintenance_windows_client_id_foreign" foreign key ("client_id") references "clients" ("id") on delete cascade,
        constraint "maintenance_windows_device_id_foreign" foreign key ("device_id") references "devices" ("id") on delete cascade
      )
    `);
    this.addSql(`create index "maintenance_windows_client_id_index" on "maintenance_windows" ("client_id")`);
    this.addSql(`
      create table "alerts" (
        "id" text not null primary key,
        "client_id" text not null,
        "device_id" text not null,
        "check_name" text not null,
        "instance" text not null,
        "severity" text not null,
        "state" text not null,
        "message" text not null,
        "fingerprint" text not null,
        "open_key" text null,
        "opened_at" text not null,
        "last_at" text not null,
        "count" integer not null,
        "acknowledged_at" text null,
        "acknowledged_by" text null,
        "note" text null,
        "until" text null,
        "known_severity" text not null,
        "resolved_at" text null,
        "resolved_by" text null,
        "told_at" text null,
        "escalation" integer not null,
        constraint "alerts_client_id_foreign" foreign key ("client_id") references "clients" ("id") on delete cascade,
        constraint "alerts_device_id_foreign" foreign key ("device_id") references "devices" ("id") on delete cascade
      )
    `);
    this.addSql(`create unique index "alerts_open_key_unique" on "alerts" ("open_key")`);
    this.addSql(`create index "alerts_client_id_opened_at_index" on "alerts" ("client_id", "opened_at")`);
    this.addSql(`create index "alerts_state_until_index" on "alerts" ("state", "until")`);
    this.addSql(`
      create table "alert_events" (
        "id" integer not null primary key autoincrement,
        "alert_id" text not null,
        "at" text not null,
        "what" text not null,
        "who" text not null,
        "note" text null,
        constraint "alert_events_alert_id_foreign" foreign key ("alert_id") references "alerts" ("id") on delete cascade
      )
    `);
    this.addSql(`create index "alert_events_alert_id_id_index" on "alert_events" ("alert_id", "id")`);
    this.addSql(`
      create table "notices" (
        "id" integer not null primary key autoincrement,
        "alert_id" text not null,
        "channel" text not null,
        "event" text not null,
        "due_at" text not null,
        "job_id" text null,
        "state" text not null,
        "created_at" text not null,
        "sent_at" text null,
        constraint "notices_alert_id_foreign" foreign key ("alert_id") references "alerts" ("id") on delete cascade
      )
    `);
    this.addSql(`create index "notices_state_due_at_index" on "notices" ("state", "due_at")`);
    this.addSql(`create index "notices_alert_id_index" on "notices" ("alert_id")`);
    this.addSql(`create index "notices_job_id_index" on "notices" ("job_id")`);
    this.addSql(`
      insert into "check_states" ("client_id", "device_id", "check_name", "instance", "status", "hard", "tries", "since", "at",
        "hold_until", "message", "vals", "limits", "ms", "changes", "flapping", "unreachable", "known", "span_from")
      select "client_id", "device_id", "check_name", "instance", "status", 'healthy', 0, max("at"), max("at"),
        strftime('%Y-%m-%dT%H:%M:%fZ', max("at"), '+15 minutes'), "message",
        case when "unit" is null then '[]' else json_array(json_object('name', ${valueName('')}, 'value', "value", 'unit', "unit")) end,
        case when "warning" is null then null else json_object('warning', "warning", 'critical', "critical") end,
        0, 0, 0, 0, count(nullif("status", 'unknown')) > 0, ${ms('max("at")')}
      from "check_results" group by "device_id", "check_name", "instance"
    `);
    this.addSql(`
      insert into "state_spans" ("state_id", "from_ms", "until_ms", "status", "message")
      select s."id", ${ms('r."at"')},
        min(${ms('r."at"')} + 900000, ${ms('coalesce(lead(r."at") over (partition by s."id" order by r."at"), s."at")')}), r."status", r."message"
      from "check_results" r
      join "check_states" s on s."device_id" = r."device_id" and s."check_name" = r."check_name" and s."instance" = r."instance"
      where r."at" < s."at"
      on conflict do nothing
    `);
    this.addSql(`delete from "state_spans" where "until_ms" <= "from_ms"`);
    this.addSql(`
      insert into "check_runs" ("job_id", "part", "client_id", "at", "data")
      select r."job_id", 0, r."client_id", r."began",
        cast(json_group_array(json_array(s."id", r."status", r."message",
          case when r."unit" is null then json_array()
            else json_array(json_array(${valueName('r.')}, r."value", r."unit")) end,
          case when r."warning" is null then null else json_object('warning', r."warning", 'critical', r."critical") end,
          ${ms('r."at"')} - r."began", 0,
          case when r."warning" is null then r."status" end)) as blob)
      from (select *, min(${ms('"at"')}) over (partition by "job_id") as "began" from "check_results") r
      join "check_states" s on s."device_id" = r."device_id" and s."check_name" = r."check_name" and s."instance" = r."instance"
      group by r."job_id"
    `);
    this.addSql(`drop table "check_results"`);
  }
}

/** SQL for a time as ms since the epoch. */
function ms(at: string): string {
  return `cast(round((julianday(${at}) - 2440587.5) * 86400000) as integer)`;
}

/** SQL for the name that the main value of a check has now. */
function valueName(table: string): string {
  return `case ${table}"check_name" when 'cpu' then 'usage' when 'network' then 'latency'
    when 'services' then case ${table}"instance" when 'expected' then 'down' else 'failed' end else 'used' end`;
}
