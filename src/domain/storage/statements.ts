import type Database from 'better-sqlite3';
import { alertStatements } from './alert-statements.ts';
import { checkStatements } from './check-statements.ts';
import { historyStatements } from './history-statements.ts';
import { maintenanceStatements } from './maintenance-statements.ts';
import { admissionStatements } from './admission-statements.ts';
import { jobStatements } from './job-statements.ts';
import { operationStatements } from './operation-statements.ts';
import { recordStatements } from './record-statements.ts';
import { scheduleStatements } from './schedule-statements.ts';

export type Prepare = (text: string) => Database.Statement;

/**
 * Every hand-written statement of the product, in the SQL that SQLite and PostgreSQL share. Inside
 * `Storage.write` they belong to its transaction; on `Storage.read` only the reads may be used.
 */
export function createStatements(db: Database.Database) {
  const prepared = new Map<string, Database.Statement>();
  /** Statements are prepared at their first use, so that a short command doesn't pay for those it never runs. */
  function sql(text: string): Database.Statement {
    let statement = prepared.get(text);
    if (!statement) {
      statement = db.prepare(text);
      prepared.set(text, statement);
    }
    return statement;
  }

  return {
    /** The stored value, or `value` once it has been stored; two processes asking at once get the same. */
    settingOrSet(key: string, value: string): string {
      const read = sql('select value from settings where key = ?').pluck();
      const found = read.get(key);
      if (typeof found === 'string') return found;
      sql('insert into settings (key, value) values (?, ?) on conflict do nothing').run(key, value);
      return read.get(key) as string;
    },

    putSetting(key: string, value: string): void {
      sql(
        'insert into settings (key, value) values (?, ?) on conflict (key) do update set value = excluded.value',
      ).run(key, value);
    },

    ...admissionStatements(sql),
    ...alertStatements(sql),
    ...checkStatements(sql),
    ...historyStatements(sql),
    ...jobStatements(sql),
    ...maintenanceStatements(sql),
    ...operationStatements(sql),
    ...recordStatements(sql),
    ...scheduleStatements(sql),
  };
}

export type Statements = ReturnType<typeof createStatements>;
