import { execFile } from 'node:child_process';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect } from 'vitest';
import { addClient, getClient } from '../../src/domain/client.ts';
import { systemClock } from '../../src/domain/clock.ts';
import { openStorage } from '../../src/domain/storage/storage.ts';
import { by } from '../support/engine.ts';
import { scratchHome, until } from '../support/home.ts';
import { mayMount, mountOver } from '../support/mount.ts';
import { externalRedis } from '../support/redis.ts';
import { faultTest, full } from './support/fault.ts';
import { work } from './support/jobs.ts';
import { killed, world } from './support/world.ts';

const run = promisify(execFile);

faultTest('fullDisk', { short: 90_000, full: 180_000 }, async ({ figures }) => {
  if (!mayMount) throw new Error('not run: only root can make a small file system');
  const home = await scratchHome();
  const mounted = mountOver(home, 'size=24m');
  const redis = await externalRedis();
  const at = await world(redis.url, home);
  const { engine, history } = at;
  const worker = await at.worker('fast');
  const count = full ? 300 : 40;
  let refused = 0;
  /** Whether it was accepted; if not, the error is a clear one. */
  const submit = async (n: number): Promise<boolean> => {
    try {
      history.note('ack', (await engine.submit(work, { n, ms: 20 }, by)).id);
      return true;
    } catch (error) {
      expect(error).toMatchObject({ code: expect.stringMatching(/^(DISK_FULL|DATABASE_UNUSABLE)$/) });
      refused += 1;
      return false;
    }
  };
  // What the history notes needs room too, so it stands where there is some.
  for (let n = 0; n < count; n += 1) await submit(n);
  const filler = join(home, 'filler');
  await mkdir(filler);
  for (let n = 0; ; n += 1) {
    const written = await writeFile(join(filler, String(n)), Buffer.alloc(64 * 1024)).then(
      () => true,
      () => false,
    );
    if (!written) break;
  }
  // The journal has some room of its own; when that is used up as well, nothing is accepted any more.
  for (let n = 0; n < 5000 && (await submit(n)); n += 1);
  const during = at.storage.read.countJobs();
  await rm(filler, { recursive: true });
  await until('all have ended after the disk had room', () => ended(at), 60_000);
  const full_ = { ...during };

  // With jobs still open everything goes down, and comes up on a file system that takes no writes.
  for (let n = 0; n < 10; n += 1) await submit(n);
  await killed(worker);
  await engine.close();
  await at.storage.close();
  mounted.remount('ro');
  await expect(openStorage(join(home, 'toolkit.db'))).rejects.toMatchObject({ code: 'DATABASE_UNUSABLE' });
  mounted.remount('rw');
  const again = await world(redis.url, home);
  await again.worker('fast');
  await until('all have ended after it could be written to', () => ended(again), 60_000);

  const counts = again.effects();
  const acknowledged = history.all('ack').map(({ id }) => id);
  figures['acknowledged'] = acknowledged.length;
  figures['refused with a clear error'] = refused;
  figures['unfinished while full'] =
    (full_['pending'] ?? 0) + (full_['queued'] ?? 0) + (full_['running'] ?? 0);
  figures['lost'] = acknowledged.filter((id) => again.engine.get(id).state !== 'succeeded').length;
  figures['success without effect'] = acknowledged.filter((id) => !counts.has(id)).length;
  figures['effects done twice'] = [...counts.values()].filter((n) => n > 1).length;
  expect(figures).toMatchObject({ lost: 0, 'success without effect': 0, 'effects done twice': 0 });
  expect(refused).toBeGreaterThan(0);
});

function ended({ engine }: Awaited<ReturnType<typeof world>>): boolean {
  return engine.list({ limit: -1 }).every(({ finishedAt }) => finishedAt !== null);
}

faultTest('fourWriters', { short: 60_000, full: 300_000 }, async ({ figures }) => {
  const file = join(await scratchHome(), 'toolkit.db');
  const storage = await openStorage(file);
  const who = { actor: 'test', clock: systemClock };
  await addClient(storage, who, { name: 'Counter', id: 'counter' });
  const times = full ? 1250 : 100;
  const script = join(import.meta.dirname, '../support/tally.ts');
  const began = performance.now();
  // Each writes as often through the ORM as plainly; a BUSY that surfaced would end it with an error.
  await Promise.all([1, 2, 3, 4].map(() => run(process.execPath, [script, file, 'counter', String(times)])));
  const seconds = (performance.now() - began) / 1000;
  const { metadata } = await getClient(storage, 'counter');
  figures['transactions'] = 4 * times * 2;
  figures['a second'] = Math.round((4 * times * 2) / seconds);
  figures['lost updates'] = 4 * times - Number(metadata['count']);
  figures['lost writes'] = 4 * times - storage.read.auditCount('tally');
  await storage.close();
  expect(figures).toMatchObject({ 'lost updates': 0, 'lost writes': 0 });
});
