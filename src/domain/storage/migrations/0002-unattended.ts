import { Migration } from '@mikro-orm/migrations';

/** What it takes to be left alone: schedules and their slots, attempts, admission, leases, heartbeats, budgets. */
export class Unattended extends Migration {
  override up(): void {
    this.addSql(`alter table "jobs" add column "queue" text not null default 'general'`);
    this.addSql(`alter table "jobs" add column "lane" text not null default ''`);
    this.addSql(`alter table "jobs" add column "serial_key" text null`);
    this.addSql(`alter table "jobs" add column "admitted" integer not null default 0`);
    this.addSql(`alter table "jobs" add column "turn_at" text null`);
    this.addSql(`update "jobs" set "queue" = 'render' where "type" = 'report.generate'`);
    this.addSql(`update "jobs" set "queue" = 'mail' where "type" = 'report.send'`);
    this.addSql(`update "jobs" set "lane" = "client_id" where "client_id" is not null`);
    // One that waits for its next try holds no place.
    this.addSql(
      `update "jobs" set "admitted" = 1 where "state" = 'running' or ("state" = 'queued' and "error" is null)`,
    );
    this.addSql(
      `create index "jobs_queue_state_admitted_lane_type_created_at_index" on "jobs" ("queue", "state", "admitted", "lane", "type", "created_at")`,
    );
    this.addSql(`create index "jobs_serial_key_state_index" on "jobs" ("serial_key", "state")`);
    this.addSql(`create index "jobs_finished_at_index" on "jobs" ("finished_at")`);
    this.addSql(`create index "jobs_created_at_index" on "jobs" ("created_at")`);
    this.addSql(`
      create table "lanes" (
        "queue" text not null,
        "lane" text not null,
        "turn" integer not null,
        primary key ("queue", "lane")
      )
    `);
    this.addSql(`
      create table "job_attempts" (
        "job_id" text not null,
        "attempt" integer not null,
        "worker" text not null,
        "started_at" text not null,
        "ended_at" text null,
        "outcome" text null,
        "error" json null,
        primary key ("job_id", "attempt"),
        constraint "job_attempts_job_id_foreign" foreign key ("job_id") references "jobs" ("id") on delete cascade
      )
    `);
    this.addSql(`
      create table "schedules" (
        "id" text not null primary key,
        "name" text not null,
        "cron" text not null,
        "timezone" text not null,
        "job_type" text not null,
        "payload" json not null,
        "misfire" text not null,
        "misfire_window_seconds" integer not null,
        "overlap" text not null,
        "jitter_seconds" integer not null,
        "paused" integer not null,
        "source" text not null,
        "cursor" text not null,
        "next_at" text null,
        "last_run_at" text null,
        "created_at" text not null,
        "updated_at" text not null
      )
    `);
    this.addSql(`create unique index "schedules_name_unique" on "schedules" ("name")`);
    this.addSql(`create index "schedules_next_at_index" on "schedules" ("next_at")`);
    this.addSql(`
      create table "schedule_slots" (
        "id" integer not null primary key autoincrement,
        "schedule_id" text not null,
        "slot" text not null,
        "until" text not null,
        "count" integer not null,
        "outcome" text not null,
        "reason" text null,
        "job_id" text null,
        "at" text not null,
        constraint "schedule_slots_schedule_id_foreign" foreign key ("schedule_id") references "schedules" ("id") on delete cascade
      )
    `);
    this.addSql(
      `create unique index "schedule_slots_schedule_id_slot_unique" on "schedule_slots" ("schedule_id", "slot")`,
    );
    this.addSql(`create index "schedule_slots_until_index" on "schedule_slots" ("until")`);
    this.addSql(`
      create table "leases" (
        "name" text not null primary key,
        "owner" text not null,
        "until" text not null
      )
    `);
    this.addSql(`
      create table "processes" (
        "id" text not null primary key,
        "kind" text not null,
        "host" text not null,
        "pid" integer not null,
        "version" text not null,
        "places" json not null,
        "started_at" text not null,
        "beat_at" text not null
      )
    `);
    this.addSql(`
      create table "budgets" (
        "account" text not null primary key,
        "free_at" double not null
      )
    `);
  }
}
