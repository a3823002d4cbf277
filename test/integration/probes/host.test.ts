import { execFileSync } from 'node:child_process';
import { mkdtemp, rm, statfs, utimes, writeFile } from 'node:fs/promises';
import { totalmem, tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { daysUntilFull, findingOf } from '../../../src/workers/probes/disk.ts';
import { lookAt } from '../../../src/workers/probes/probe.ts';
import { here, measure, measureOne, tcpServer } from '../../support/probing.ts';

const day = 86_400_000;

async function folder(): Promise<string> {
  const made = await mkdtemp(join(tmpdir(), 'msp-p-'));
  onTestFinished(() => rm(made, { recursive: true, force: true }));
  return made;
}

test('cpu is averaged over its window, with the busiest core and the load beside it', async () => {
  const found = await measureOne('cpu', { windowSeconds: 0.5 });
  expect(found.ms).toBeGreaterThanOrEqual(450);
  expect(found.values.map((v) => v.name)).toEqual(['usage', 'core', 'load']);
  const [usage, core] = found.values.map((v) => v.value ?? -1);
  expect(core).toBeGreaterThanOrEqual(usage ?? 101);
});

test('memory counts what is not available, not what is not free', async () => {
  const found = await measureOne('memory');
  expect(found.message).toContain(`of ${(totalmem() / 1024 ** 3).toFixed(1)} GiB available`);
  expect(found.values[0]).toMatchObject({ name: 'used', unit: '%' });
});

describe('disk', () => {
  test('measures every file system as df counts it', async () => {
    for (const { instance, values } of await measure('disk')) {
      const { blocks, bfree, bavail } = await statfs(instance);
      expect(values[0]?.value).toBeCloseTo(((blocks - bfree) / (blocks - bfree + bavail)) * 100, 0);
    }
  });

  test('leaves out what is of no interest', async () => {
    const all = await measure('disk');
    const exclude = all.map((m) => m.instance);
    expect(await measure('disk', { exclude })).toMatchObject([{ status: 'unknown' }]);
  });

  test('tells when a file system will be full, if it fills up', () => {
    const now = Date.UTC(2026, 0, 11);
    const rising = Array.from({ length: 10 }, (_, i): [number, number] => [now - (10 - i) * day, 50 + i * 2]);
    expect(daysUntilFull(rising, now, 70)).toBeCloseTo(15, 0);
    const flat = rising.map(([at]): [number, number] => [at, 50]);
    expect(daysUntilFull(flat, now, 50)).toBeNull();
    const falling = rising.map(([at, value]): [number, number] => [at, 100 - value]);
    expect(daysUntilFull(falling, now, 30)).toBeNull();
    expect(daysUntilFull(rising.slice(-2), now, 70)).toBeNull();
  });

  test('that went away after it was listed is unknown, and so told', async () => {
    const mount = await folder();
    const listed = { mount, type: 'ext4', size: 100, available: 50, use: 50 };
    expect(await findingOf(listed, [], 0)).toMatchObject({ values: [{ value: 50 }, {}, {}] });
    await rm(mount, { recursive: true });
    expect(await findingOf(listed, [], 0)).toMatchObject({
      instance: mount,
      status: 'unknown',
      message: expect.stringContaining('it went away while it was measured: ENOENT'),
    });
  });
});

test('a service that runs is healthy, one that does not is critical', async () => {
  const find = async (settings: object, metadata = {}) =>
    (await measure('services', { ...settings }, { device: { ...here, metadata } })).find(
      (f) => f.instance === 'expected',
    );
  expect(await find({}, { services: ['node'] })).toMatchObject({ status: 'healthy' });
  expect(await find({ names: ['node', 'no-such-service'] })).toMatchObject({
    status: 'critical',
    message: 'not running: no-such-service',
    values: [{ name: 'down', value: 1, unit: 'services' }],
  });
});

describe('network', () => {
  test('connects to chosen hosts, pings others, and says which is out of reach', async () => {
    const port = await tcpServer();
    const targets = [`127.0.0.1:${port}`, '127.0.0.1:1'];
    const found = await measure('network', { targets, hosts: ['127.0.0.1'], gateway: false });
    const of = (instance: string) => found.find((f) => f.instance === instance);
    expect(of(`127.0.0.1:${port}`)).toMatchObject({ status: 'healthy' });
    expect(of('127.0.0.1:1')).toMatchObject({
      status: 'critical',
      message: expect.stringContaining('ECONNREFUSED'),
    });
    expect(of('127.0.0.1')).toMatchObject({ status: 'healthy', values: [{ name: 'latency' }, { value: 0 }] });
    expect(of('interfaces')?.message).toMatch(/^up: .*errors in/);
  });

  test('says nothing where there is nothing to reach: an interface that is up proves nothing', async () => {
    expect(await measure('network', { gateway: false })).toMatchObject([{ status: 'unknown', instance: '' }]);
  });
});

describe('backup', () => {
  test('is as old as the newest file whose name fits', async () => {
    const where = await folder();
    for (const [name, hours] of [
      ['a.tar', 30],
      ['b.tar', 3],
      ['notes.txt', 0],
    ] as const) {
      await writeFile(join(where, name), 'x'.repeat(100));
      const at = new Date(Date.now() - hours * 3_600_000);
      await utimes(join(where, name), at, at);
    }
    const found = await measureOne('backup', { folder: where, matching: '.tar' });
    expect(found).toMatchObject({
      status: 'healthy',
      message: 'b.tar, 100 B, 3 hours old',
      values: [
        { name: 'age', value: 3, unit: 'hours' },
        { name: 'size', value: 100 },
      ],
    });
  });

  test('that is empty or is not there is critical; a folder that can not be read is unknown', async () => {
    const where = await folder();
    expect(await measureOne('backup', { folder: where })).toMatchObject({
      status: 'critical',
      message: expect.stringContaining('holds no backup'),
    });
    await writeFile(join(where, 'empty.tar'), '');
    expect(await measureOne('backup', { folder: where })).toMatchObject({
      status: 'critical',
      message: expect.stringContaining('less than 1 B'),
    });
    expect(await measureOne('backup', { folder: join(where, 'nowhere') })).toMatchObject({
      status: 'unknown',
    });
  });

  test('that a clock ahead has left, or that never answers, is not known', async () => {
    const where = await folder();
    await writeFile(join(where, 'x.tar'), 'x');
    const ahead = new Date(Date.now() + 7_200_000);
    await utimes(join(where, 'x.tar'), ahead, ahead);
    expect(await measureOne('backup', { folder: where })).toMatchObject({
      status: 'unknown',
      message: expect.stringContaining('from the future'),
    });
    execFileSync('mkfifo', [join(where, 'pipe')]);
    expect(await measureOne('backup', { report: join(where, 'pipe') })).toMatchObject({
      status: 'critical',
      message: expect.stringContaining('is no file'),
    });
  });

  test('is not looked at again while an earlier look has not come back', async () => {
    const first = lookAt('/mnt/away', () => new Promise<never>(() => {}));
    first.catch(() => {});
    await expect(lookAt('/mnt/away', async () => 1)).rejects.toThrow('has not come back');
    expect(await lookAt('/mnt/here', async () => 1)).toBe(1);
    expect(await lookAt('/mnt/here', async () => 2)).toBe(2);
  });

  test.each([
    [{ finishedAt: new Date().toISOString(), result: 'success' }, 'healthy', 'report.json'],
    [{ finishedAt: Math.floor(Date.now() / 1000), result: 0 }, 'healthy', 'report.json'],
    [{ finishedAt: new Date().toISOString(), result: 'failed: no space' }, 'critical', 'failed: no space'],
    [{ result: 'success' }, 'critical', 'has no time in "finishedAt"'],
    ['not json', 'critical', 'is not a JSON object'],
  ])('whose report is %j is %s', async (report, status, words) => {
    const file = join(await folder(), 'report.json');
    await writeFile(file, typeof report === 'string' ? report : JSON.stringify(report));
    expect(await measureOne('backup', { report: file })).toMatchObject({
      status,
      message: expect.stringContaining(words),
    });
  });
});

test('updates are counted with the security ones, or the reason is given why not', async () => {
  const found = await measureOne('updates', { listDays: 365 });
  const [pending = 0, security = 0] = found.values.map((v) => v.value ?? Number.NaN);
  expect(pending).toBeGreaterThanOrEqual(security);
  expect(found.message).toMatch(/pending|apt-get|list of available updates|package manager/);
  expect(found.status === 'unknown').toBe(found.values.length === 0);
});
