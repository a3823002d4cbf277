import { Migration } from '@mikro-orm/migrations';

export class Initial extends Migration {
  override up(): void {
    this.addSql(`
      create table "audit_entries" (
        "id" integer not null primary key autoincrement,
        "at" text not null,
        "actor" text not null,
        "action" text not null,
        "subject" text not null,
        "details" json not null
      )
    `);
    this.addSql(`create index "audit_entries_subject_at_index" on "audit_entries" ("subject", "at")`);
    this.addSql(`
      create table "clients" (
        "id" text not null primary key,
        "name" text not null,
        "contact_email" text null,
        "tier" text not null,
        "status" text not null,
        "timezone" text not null,
        "metadata" json not null,
        "created_at" text not null,
        "updated_at" text not null
      )
    `);
    this.addSql(`
      create table "devices" (
        "id" text not null primary key,
        "client_id" text not null,
        "name" text not null,
        "type" text not null,
        "rmm_device_id" text null,
        "last_seen" text null,
        "metadata" json not null,
        constraint "devices_client_id_foreign" foreign key ("client_id") references "clients" ("id") on delete cascade
      )
    `);
    this.addSql(`create unique index "devices_client_id_name_unique" on "devices" ("client_id", "name")`);
    this.addSql(`
      create table "check_results" (
        "id" integer not null primary key autoincrement,
        "job_id" text not null,
        "client_id" text not null,
        "device_id" text not null,
        "check_name" text not null,
        "instance" text not null,
        "status" text not null,
        "message" text not null,
        "value" double null,
        "unit" text null,
        "warning" double null,
        "critical" double null,
        "at" text not null,
        "attempt" integer not null,
        constraint "check_results_client_id_foreign" foreign key ("client_id") references "clients" ("id") on delete cascade,
        constraint "check_results_device_id_foreign" foreign key ("device_id") references "devices" ("id") on delete cascade
      )
    `);
    this.addSql(`create index "check_results_client_id_at_index" on "check_results" ("client_id", "at")`);
    this.addSql(
      `create index "check_results_device_id_check_name_at_index" on "check_results" ("device_id", "check_name", "at")`,
    );
    this.addSql(
      `create unique index "check_results_job_id_device_id_check_name_instance_unique" on "check_results" ("job_id", "device_id", "check_name", "instance")`,
    );
    this.addSql(`
      create table "jobs" (
        "id" text not null primary key,
        "type" text not null,
        "state" text not null,
        "client_id" text null,
        "requested_by" text not null,
        "idempotency_key" text null,
        "payload" json not null,
        "attempt" integer not null default 0,
        "starts" integer not null default 0,
        "parked" integer not null default 0,
        "progress" json null,
        "result" json null,
        "error" json null,
        "worker" text null,
        "created_at" text not null,
        "queued_at" text null,
        "started_at" text null,
        "finished_at" text null,
        "cancel_requested_at" text null,
        "relay_owner" text null,
        "relay_until" text null
      )
    `);
    this.addSql(`create unique index "jobs_idempotency_key_unique" on "jobs" ("idempotency_key")`);
    this.addSql(`create index "jobs_state_created_at_index" on "jobs" ("state", "created_at")`);
    this.addSql(`create index "jobs_client_id_created_at_index" on "jobs" ("client_id", "created_at")`);
    this.addSql(`
      create table "job_logs" (
        "id" integer not null primary key autoincrement,
        "job_id" text not null,
        "attempt" integer not null,
        "at" text not null,
        "level" text not null,
        "message" text not null,
        constraint "job_logs_job_id_foreign" foreign key ("job_id") references "jobs" ("id") on delete cascade
      )
    `);
    this.addSql(`create index "job_logs_job_id_id_index" on "job_logs" ("job_id", "id")`);
    this.addSql(`
      create table "job_steps" (
        "job_id" text not null,
        "name" text not null,
        "position" integer not null,
        "status" text not null,
        "output" json null,
        "evidence" json not null,
        "started_at" text not null,
        "finished_at" text null,
        "attempt" integer not null,
        primary key ("job_id", "name"),
        constraint "job_steps_job_id_foreign" foreign key ("job_id") references "jobs" ("id") on delete cascade
      )
    `);
    this.addSql(`
      create table "reports" (
        "id" text not null primary key,
        "client_id" text not null,
        "job_id" text not null,
        "template" text not null,
        "format" text not null,
        "path" text not null,
        "bytes" integer not null,
        "period_from" text not null,
        "period_to" text not null,
        "generated_at" text not null,
        constraint "reports_client_id_foreign" foreign key ("client_id") references "clients" ("id") on delete cascade
      )
    `);
    this.addSql(`create unique index "reports_job_id_unique" on "reports" ("job_id")`);
    this.addSql(
      `create index "reports_client_id_generated_at_index" on "reports" ("client_id", "generated_at")`,
    );
    this.addSql(`
      create table "deliveries" (
        "id" text not null primary key,
        "report_id" text not null,
        "recipient" text not null,
        "state" text not null,
        "message_id" text not null,
        "job_id" text not null,
        "tries" integer not null,
        "response" text null,
        "created_at" text not null,
        "sent_at" text null,
        constraint "deliveries_report_id_foreign" foreign key ("report_id") references "reports" ("id") on delete cascade
      )
    `);
    this.addSql(
      `create unique index "deliveries_report_id_recipient_unique" on "deliveries" ("report_id", "recipient")`,
    );
    this.addSql(`
      create table "settings" (
        "key" text not null primary key,
        "value" text not null
      )
    `);
  }
}
