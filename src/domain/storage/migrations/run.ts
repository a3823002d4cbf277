import type { MikroORM } from '@mikro-orm/sqlite';
import { Migrator } from '@mikro-orm/migrations';
import { Initial } from './0001-initial.ts';
import { Unattended } from './0002-unattended.ts';
import { Monitor } from './0003-monitor.ts';

const migrations = [
  { name: '0001-initial', class: Initial },
  { name: '0002-unattended', class: Unattended },
  { name: '0003-monitor', class: Monitor },
];

/** Applies what is missing, each migration in a transaction. The caller keeps other processes out. */
export async function runMigrations(orm: MikroORM): Promise<void> {
  orm.config.set('migrations', {
    ...orm.config.get('migrations'),
    migrationsList: migrations,
    snapshot: false,
    silent: true,
  });
  await new Migrator(orm.em).up();
}
