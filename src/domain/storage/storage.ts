import { existsSync } from 'node:fs';
import type { AbstractSqlConnection, EntityManager } from '@mikro-orm/sqlite';
import { MikroORM } from '@mikro-orm/sqlite';
import Database from 'better-sqlite3';
import { CompiledQuery, type DatabaseConnection, type Driver, SqliteDialect } from 'kysely';
import { v4 as randomId } from 'uuid';
import { AuditEntity } from '../audit.ts';
import { AlertEntity, AlertEventEntity, NoticeEntity } from '../alert/alert.ts';
import {
  CheckMetricEntity,
  CheckRunEntity,
  CheckStateEntity,
  HistoryCursorEntity,
  RollupEntity,
  StateSpanEntity,
} from '../check/records.ts';
import { ClientEntity } from '../client.ts';
import { DeviceEntity } from '../device.ts';
import { DomainError, toDomainError } from '../errors.ts';
import { JobAttemptEntity, JobEntity, JobLogEntity, JobStepEntity, LaneEntity } from '../job.ts';
import { MaintenanceWindowEntity } from '../maintenance.ts';
import { BudgetEntity, LeaseEntity, ProcessEntity } from '../process.ts';
import { DeliveryEntity, ReportEntity } from '../report.ts';
import { ScheduleEntity, ScheduleSlotEntity } from '../schedule.ts';
import { withFileLock } from './lock.ts';
import { SettingEntity } from './setting.ts';
import { migrationNames } from './migrations/index.ts';
import { createStatements, type Statements } from './statements.ts';

export const entities = [
  ClientEntity,
  DeviceEntity,
  CheckStateEntity,
  StateSpanEntity,
  CheckRunEntity,
  CheckMetricEntity,
  RollupEntity,
  HistoryCursorEntity,
  MaintenanceWindowEntity,
  AlertEntity,
  AlertEventEntity,
  NoticeEntity,
  ReportEntity,
  DeliveryEntity,
  JobEntity,
  JobAttemptEntity,
  JobStepEntity,
  JobLogEntity,
  AuditEntity,
  SettingEntity,
  ScheduleEntity,
  ScheduleSlotEntity,
  LeaseEntity,
  ProcessEntity,
  BudgetEntity,
  LaneEntity,
];

/**
 * The database. What people edit goes through the ORM (`em`, `transaction`); what jobs write goes through
 * `write`, whose plain statements share one commit with everything else written in the same turn of the event
 * loop. Both use the same connection, so neither ever waits for the other across processes' locks.
 */
export interface Storage {
  /** A fresh entity manager for reads. */
  em(): EntityManager;
  /** Runs `work` in BEGIN IMMEDIATE .. COMMIT. Never await the network inside. */
  transaction<T>(work: (em: EntityManager, statements: Statements) => Promise<T>): Promise<T>;
  /**
   * Runs `work` in the next group commit and resolves once that is on disk. `work` is synchronous; if it throws,
   * its own writes are undone and those of its neighbours stand.
   */
  write<T>(work: (statements: Statements) => T): Promise<T>;
  /** Plain reads. */
  readonly read: Statements;
  /** Differs between two databases; keeps their queues apart in a shared Redis. */
  readonly installationId: string;
  /** Path of the database. */
  readonly file: string;
  close(): Promise<void>;
}

/** SQLite's BEGIN takes the write lock only at the first write and then fails instead of waiting; IMMEDIATE waits. */
class ImmediateDialect extends SqliteDialect {
  override createDriver(): Driver {
    const driver = super.createDriver();
    driver.beginTransaction = async (connection: DatabaseConnection) => {
      await connection.executeQuery(CompiledQuery.raw('begin immediate'));
    };
    return driver;
  }
}

function createOrm(native: Database.Database): MikroORM {
  return new MikroORM({
    entities,
    dbName: native.name,
    driverOptions: new ImmediateDialect({ database: native }),
    implicitTransactions: true,
  });
}

/** Names of the migrations that the database has had; undefined where it has none at all. */
function appliedMigrations(native: Database.Database): string[] | undefined {
  const table = native
    .prepare(`select 1 from sqlite_master where type = 'table' and name = 'mikro_orm_migrations'`)
    .get();
  if (!table) return undefined;
  return native.prepare('select name from mikro_orm_migrations order by id').pluck().all() as string[];
}

function assertNotNewer(applied: readonly string[]): void {
  const unknown = applied.filter((name) => !migrationNames.includes(name));
  if (unknown.length > 0) {
    throw new DomainError('DATABASE_NEWER', 'The database was written by a newer version of MSP Toolkit.', {
      details: { unknownMigrations: unknown },
      hint: 'Update MSP Toolkit on this machine; the database has not been touched.',
    });
  }
}

/** How many migrations the database still lacks. */
export function pendingMigrations(native: Database.Database): string[] {
  const applied = appliedMigrations(native) ?? [];
  assertNotNewer(applied);
  return migrationNames.filter((name) => !applied.includes(name));
}

async function migrate(native: Database.Database): Promise<void> {
  const { runMigrations } = await import('./migrations/run.ts');
  const orm = createOrm(native);
  await runMigrations(orm);
}

/**
 * Opens the database, makes it if it isn't there, and brings it up to date; any number of processes may do so at
 * once.
 *
 * Throws DATABASE_NEWER, DATABASE_UNUSABLE or DISK_FULL.
 */
export async function openStorage(file: string): Promise<Storage> {
  let native: Database.Database | undefined;
  try {
    const fresh = !existsSync(file);
    native = new Database(file, { timeout: 15_000 });
    const opened = native;
    // Concurrent starters of a new database would collide over the journal mode and over the migrations.
    if (
      fresh ||
      opened.pragma('journal_mode', { simple: true }) !== 'wal' ||
      pendingMigrations(opened).length > 0
    ) {
      await withFileLock(`${file}.lock`, async () => {
        opened.pragma('journal_mode = wal');
        if (pendingMigrations(opened).length > 0) await migrate(opened);
      });
    }
    // FULL syncs the journal at each commit: what has been acknowledged survives a power cut.
    native.pragma('synchronous = full');
    native.pragma('foreign_keys = on');
    return createStorage(native);
  } catch (error) {
    native?.close();
    throw unusable(file, error);
  }
}

/** SQLite's own errors in the product's words; what the caller's code threw stays what it is. */
function translated(error: unknown): unknown {
  return error instanceof Database.SqliteError ? toDomainError(error) : error;
}

function unusable(file: string, error: unknown): DomainError {
  const known = toDomainError(error);
  if (known.code !== 'INTERNAL' && known.code !== 'DATABASE_UNUSABLE') return known;
  return new DomainError('DATABASE_UNUSABLE', `The database ${file} can't be opened: ${known.message}`, {
    hint: 'Check that the folder exists and that you may write to it, or run: msp-toolkit doctor',
    details: known.details,
    cause: error,
  });
}

/** Turns of the event loop for which a commit waits for others to join it; with nothing else to do they take no time. */
const turns = 3;

function afterTurns(work: () => void, left = turns): void {
  setImmediate(() => (left > 1 ? afterTurns(work, left - 1) : work()));
}

function createStorage(native: Database.Database): Storage {
  const statements = createStatements(native);
  // Made at its first use: a command that only reads a list has no need of it, and it takes longer than the list.
  let made: MikroORM | undefined;
  const orm = () => (made ??= createOrm(native));

  let waiting: { run: () => void; settle: (failure?: unknown) => void }[] = [];

  /** One transaction for all that waits; each entry in a savepoint of its own. */
  function commitAll(batch: typeof waiting): void {
    const outcomes = new Map<(typeof batch)[number], unknown>();
    try {
      native.exec('begin immediate');
      for (const entry of batch) {
        native.exec('savepoint entry');
        try {
          entry.run();
        } catch (error) {
          // A full disk may end the whole transaction; then nobody's writes stand.
          if (!native.inTransaction) throw error;
          native.exec('rollback to entry');
          outcomes.set(entry, error);
        }
        native.exec('release entry');
      }
      native.exec('commit');
    } catch (error) {
      if (native.inTransaction) native.exec('rollback');
      for (const entry of batch) entry.settle(toDomainError(error));
      return;
    }
    for (const entry of batch) entry.settle(outcomes.get(entry));
  }

  /** Runs `work` while no transaction of the ORM is open: Kysely lends its one connection to one user at a time. */
  async function exclusively(work: () => void): Promise<void> {
    if (!made) return work();
    const connection = made.em.getConnection() as AbstractSqlConnection;
    await connection
      .getClient()
      .connection()
      .execute(async () => work());
  }

  async function flush(): Promise<void> {
    const batch: typeof waiting = [];
    try {
      // What arrives while we wait our turn still joins this commit.
      await exclusively(() => {
        batch.push(...waiting);
        waiting = [];
        commitAll(batch);
      });
    } catch (error) {
      const stranded = batch.length > 0 ? batch : waiting.splice(0);
      for (const entry of stranded) entry.settle(toDomainError(error));
    }
  }

  const storage = {
    em: () => orm().em.fork(),
    async transaction<T>(work: (em: EntityManager, statements: Statements) => Promise<T>): Promise<T> {
      try {
        return await orm()
          .em.fork()
          .transactional((em) => work(em, statements));
      } catch (error) {
        throw toDomainError(error);
      }
    },
    write<T>(work: (statements: Statements) => T): Promise<T> {
      return new Promise<T>((resolve, reject) => {
        let value: T;
        waiting.push({
          run: () => {
            value = work(statements);
          },
          settle: (failure) => (failure === undefined ? resolve(value) : reject(translated(failure))),
        });
        if (waiting.length === 1) afterTurns(() => void flush());
      });
    },
    read: statements,
    async close(): Promise<void> {
      while (waiting.length > 0) await flush();
      await made?.close();
      if (native.open) native.close();
    },
  };
  return {
    ...storage,
    file: native.name,
    installationId: statements.settingOrSet('installation-id', randomId()),
  };
}
