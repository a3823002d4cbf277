import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Migrator } from '@mikro-orm/migrations';
import { MikroORM } from '@mikro-orm/sqlite';
import Database from 'better-sqlite3';
import { describe, expect, onTestFinished, test } from 'vitest';
import { addClient, ClientEntity, listClients, removeClient } from '../../src/domain/client.ts';
import { systemClock } from '../../src/domain/clock.ts';
import { addDevice, listDevices } from '../../src/domain/device.ts';
import { storedResults } from '../../src/domain/history/results.ts';
import { Initial } from '../../src/domain/storage/migrations/0001-initial.ts';
import { Unattended } from '../../src/domain/storage/migrations/0002-unattended.ts';
import { withFileLock } from '../../src/domain/storage/lock.ts';
import { migrationNames } from '../../src/domain/storage/migrations/index.ts';
import { entities, openStorage } from '../../src/domain/storage/storage.ts';
import { scratchHome } from '../support/home.ts';
import { measured, recordMeasured } from '../support/results.ts';
import { mayMount, mountOver } from '../support/mount.ts';

const run = promisify(execFile);
const who = { actor: 'test', clock: systemClock };

async function opened() {
  const file = join(await scratchHome(), 'toolkit.db');
  const storage = await openStorage(file);
  onTestFinished(() => storage.close());
  return { file, storage };
}

const audit = (actor: string) => ({ at: '', actor, action: '', subject: '', details: {} });

describe('migrations', () => {
  test('make the schema that the entities describe', async () => {
    const { storage } = await opened();
    const orm = new MikroORM({ entities, dbName: ':memory:' });
    onTestFinished(() => orm.close());
    await orm.schema.create();
    const shape = (em: typeof orm.em) =>
      em.getConnection().execute(
        `select m.name as tbl, c.name, c.type, c."notnull", c.dflt_value, c.pk from sqlite_master m, pragma_table_info(m.name) c
         where m.type = 'table' and m.name not like 'sqlite_%' and m.name <> 'mikro_orm_migrations' order by 1, 2`,
      );
    const indexes = (em: typeof orm.em) =>
      em
        .getConnection()
        .execute(
          `select name, tbl_name from sqlite_master where type = 'index' and name not like 'sqlite_%' and tbl_name <> 'mikro_orm_migrations' order by 1`,
        );
    expect(await shape(storage.em() as typeof orm.em)).toEqual(await shape(orm.em));
    expect(await indexes(storage.em() as typeof orm.em)).toEqual(await indexes(orm.em));
  });

  test('keep the results of a database of before the monitor', async () => {
    const file = join(await scratchHome(), 'toolkit.db');
    const orm = new MikroORM({ entities: [ClientEntity], dbName: file });
    orm.config.set('migrations', {
      ...orm.config.get('migrations'),
      migrationsList: [
        { name: '0001-initial', class: Initial },
        { name: '0002-unattended', class: Unattended },
      ],
      snapshot: false,
      silent: true,
    });
    await new Migrator(orm.em).up();
    await orm.close();
    const raw = new Database(file);
    raw.exec(`insert into clients values ('acme', 'Acme', null, 'gold', 'active', 'UTC', '{}', '', '');
      insert into devices (id, client_id, name, type, metadata) values ('d', 'acme', 'srv', 'server', '{}')`);
    const add = raw.prepare(
      `insert into check_results (job_id, client_id, device_id, check_name, instance, status, message, value, unit, warning,
         critical, at, attempt) values (?, 'acme', 'd', ?, ?, ?, 'said', ?, '%', ?, ?, ?, 1)`,
    );
    const at = (minute: number) => new Date(Date.UTC(2026, 5, 1, 0, minute)).toISOString();
    for (const [n, status] of ['healthy', 'critical', 'critical', 'healthy'].entries()) {
      add.run(`job-${n}`, 'cpu', '', status, 90 + n, 85, 95, at(n * 5));
      add.run(`job-${n}`, 'disk', '/', 'healthy', 50, 85, 95, at(n * 5));
    }
    raw.close();
    const storage = await openStorage(file);
    onTestFinished(() => storage.close());
    const states = storage.read.statesOf('acme');
    expect(states.map((s) => [s.check_name, s.instance, s.status, s.known])).toEqual([
      ['cpu', '', 'healthy', 1],
      ['disk', '/', 'healthy', 1],
    ]);
    const results = storedResults(storage.read, 'acme', storage.read.runsBetween('acme', 0, 4e12));
    expect(results).toHaveLength(8);
    expect(results[2]).toMatchObject({
      check: 'cpu',
      status: 'critical',
      value: 91,
      thresholds: { warning: 85, critical: 95 },
      values: [{ name: 'usage' }],
      at: at(5),
    });
    const spans = storage.read.spansBetween('acme', 'd', 0, 4e12).filter((s) => s.state_id === states[0]?.id);
    expect(spans.map((s) => [(s.until_ms - s.from_ms) / 60_000, s.status])).toEqual([
      [5, 'healthy'],
      [5, 'critical'],
      [5, 'critical'],
    ]);
  });

  test('are applied once by any number of processes that start together', async () => {
    const home = await scratchHome();
    const file = join(home, 'toolkit.db');
    const storages = await Promise.all(Array.from({ length: 8 }, () => openStorage(file)));
    const ids = new Set(storages.map((storage) => storage.installationId));
    await Promise.all(storages.map((storage) => storage.close()));
    expect(ids.size).toBe(1);
    const applied = new Database(file).prepare('select count(*) from mikro_orm_migrations').pluck().get();
    expect(applied).toBe(migrationNames.length);
  });

  test('a database of a newer version is refused and not touched', async () => {
    const { file, storage } = await opened();
    await storage.close();
    const raw = new Database(file);
    raw.exec(`insert into mikro_orm_migrations (name) values ('9999-from-the-future')`);
    raw.close();
    await expect(openStorage(file)).rejects.toMatchObject({
      code: 'DATABASE_NEWER',
      message: expect.stringContaining('newer version'),
      details: { unknownMigrations: ['9999-from-the-future'] },
    });
  });

  test('what is no database is refused with a clear sentence', async () => {
    const file = join(await scratchHome(), 'toolkit.db');
    await writeFile(file, 'this is not a database, but it is long enough to be looked at as one');
    await expect(openStorage(file)).rejects.toMatchObject({
      code: 'DATABASE_UNUSABLE',
      message: expect.stringContaining(file),
    });
  });
});

describe('group commit', () => {
  test('a write that throws takes nothing of its neighbours with it', async () => {
    const { storage } = await opened();
    const outcomes = await Promise.allSettled([
      storage.write((tx) => tx.addAudit(audit('first'))),
      storage.write((tx) => {
        tx.addAudit(audit('undone'));
        throw new Error('no');
      }),
      storage.write((tx) => tx.addAudit(audit('third'))),
    ]);
    expect(outcomes.map((o) => o.status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    const rows = await storage.em().getConnection().execute('select actor from audit_entries order by id');
    expect(rows).toEqual([{ actor: 'first' }, { actor: 'third' }]);
  });

  test('what is acknowledged can be read by another connection', async () => {
    const { file, storage } = await opened();
    await storage.write((tx) => tx.addAudit(audit('here')));
    const other = new Database(file, { readonly: true });
    onTestFinished(() => void other.close());
    expect(other.prepare('select actor from audit_entries').pluck().all()).toEqual(['here']);
  });

  test('writes and ORM transactions of one process do not get into each other', async () => {
    const { storage } = await opened();
    await addClient(storage, who, { name: 'Acme' });
    await Promise.all(
      Array.from({ length: 40 }, (_, i) =>
        i % 2 === 0
          ? addDevice(storage, who, { clientId: 'acme', name: `d${i}` })
          : storage.write((tx) => tx.addAudit(audit(`w${i}`))),
      ),
    );
    expect(await listDevices(storage)).toHaveLength(20);
  });

  test('closing waits for what was written', async () => {
    const { file, storage } = await opened();
    const written = storage.write((tx) => tx.addAudit(audit('last')));
    await storage.close();
    await written;
    expect(new Database(file).prepare('select count(*) from audit_entries').pluck().get()).toBe(1);
  });
});

test('four processes that write at once lose nothing and never see a busy database', async () => {
  const { file, storage } = await opened();
  await addClient(storage, who, { name: 'Acme' });
  const script = join(import.meta.dirname, '../support/tally.ts');
  await Promise.all(Array.from({ length: 4 }, () => run(process.execPath, [script, file, 'acme', '150'])));
  const [client] = await listClients(storage);
  expect(client?.metadata).toEqual({ count: 600 });
  const [row] = await storage
    .em()
    .getConnection()
    .execute<{ n: number }[]>(`select count(*) as n from audit_entries where actor = 'tally'`);
  expect(row?.n).toBe(600);
});

test('a client goes with its devices and results, and the audit trail keeps who did it', async () => {
  const { storage } = await opened();
  await addClient(storage, who, { name: 'Acme' });
  const device = await addDevice(storage, who, { clientId: 'acme', name: 'srv' });
  await recordMeasured(storage, 'acme', {
    [device.id]: [measured('2026-01-01T00:00:00.000Z', { value: 99 })],
  });
  await removeClient(storage, { ...who, actor: 'anna' }, 'acme');
  expect(await listDevices(storage)).toEqual([]);
  expect(storage.read.statesOf('acme')).toEqual([]);
  expect(storage.read.runsBetween('acme', 0, 4e12)).toEqual([]);
  const rows = await storage
    .em()
    .getConnection()
    .execute(`select actor, subject from audit_entries where action = 'client.remove'`);
  expect(rows).toEqual([{ actor: 'anna', subject: 'client:acme' }]);
});

test('a run that is recorded twice counts once, and one that was measured anew replaces it', async () => {
  const { storage } = await opened();
  await addClient(storage, who, { name: 'Acme' });
  const device = await addDevice(storage, who, { clientId: 'acme', name: 'srv' });
  const put = (at: string, value: number) =>
    recordMeasured(storage, 'acme', { [device.id]: [measured(at, { value })] }, { jobId: 'j' });
  await put('2026-01-01T00:00:00.000Z', 96);
  const again = await put('2026-01-01T00:00:00.000Z', 11);
  expect(again.map((r) => r.value)).toEqual([96]);
  expect(storage.read.statesOf('acme')).toMatchObject([{ status: 'critical', tries: 1 }]);
  await put('2026-01-01T00:01:00.000Z', 97);
  expect(storage.read.runsOfJob('j')).toHaveLength(1);
  expect(storage.read.statesOf('acme')).toMatchObject([{ status: 'critical', tries: 2 }]);
});

test.skipIf(!mayMount)(
  'a database that may not be written to says so, and nothing is lost of what it holds',
  async () => {
    const folder = await scratchHome();
    const disk = mountOver(folder, 'size=4m');
    const storage = await openStorage(join(folder, 'toolkit.db'));
    await addClient(storage, who, { name: 'Acme' });
    await storage.close();
    disk.remount('ro');
    await expect(openStorage(join(folder, 'toolkit.db'))).rejects.toMatchObject({
      code: 'DATABASE_UNUSABLE',
      message: expect.stringContaining(folder),
    });
    disk.remount('rw');
    const again = await openStorage(join(folder, 'toolkit.db'));
    onTestFinished(() => again.close());
    expect(await listClients(again)).toHaveLength(1);
  },
);

test('a database in a folder that is not there says so', async () => {
  const file = join(await scratchHome(), 'missing', 'toolkit.db');
  await expect(openStorage(file)).rejects.toMatchObject({
    code: 'DATABASE_UNUSABLE',
    message: expect.stringContaining(file),
  });
});

test('a file lock is given up by a process that dies', async () => {
  const path = join(await scratchHome(), 'x.lock');
  const code = `import D from 'better-sqlite3'; const d = new D(process.argv[1]); d.exec('begin exclusive'); console.log('held'); process.kill(process.pid, 'SIGKILL');`;
  await run(process.execPath, ['--input-type=module', '-e', code, path], {
    cwd: join(import.meta.dirname, '../..'),
  }).catch(() => {});
  expect(await withFileLock(path, async () => 'mine')).toBe('mine');
});
