import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { measureOne } from '../../support/probing.ts';

const debian = '/usr/lib/nagios/plugins';
let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'msp-plugin-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
});

async function script(body: string, name = 'check_it'): Promise<string> {
  const file = join(folder, name);
  await writeFile(file, `#!/bin/sh\n${body}\n`);
  await chmod(file, 0o755);
  return name;
}

async function run(body: string, settings: object = {}) {
  const command = await script(body);
  return measureOne('plugin', { command, ...settings }, { pluginFolders: [folder] });
}

/** Whether a process with this word in its command line is there. */
function isRunning(word: string): boolean {
  return execFileSync('ps', ['-eo', 'stat,args'], { encoding: 'utf8' })
    .split('\n')
    .some((line) => line.includes(word) && !line.includes('ps -eo') && !line.startsWith('Z'));
}

describe('exit codes', () => {
  test.each([
    [0, 'healthy'],
    [1, 'warning'],
    [2, 'critical'],
    [3, 'unknown'],
    [4, 'unknown'],
    [127, 'unknown'],
  ])('%d means %s', async (code, status) => {
    expect(await run(`echo "SOMETHING - said"; exit ${code}`)).toMatchObject({
      status,
      instance: 'check_it',
    });
  });

  test('a plugin that is killed is unknown', async () => {
    expect(await run('kill -9 $$')).toMatchObject({ status: 'unknown', message: 'it was ended by SIGKILL' });
  });

  test('a plugin that prints nothing is judged by its code all the same', async () => {
    expect(await run('exit 2')).toMatchObject({ status: 'critical', message: 'it printed nothing' });
  });
});

test('text and performance data become message and values', async () => {
  const found = await run(`echo "USERS OK - 3 users |users=3;5;10;0 'time left'=12.5s;20:;10:"`);
  expect(found).toMatchObject({
    status: 'healthy',
    message: 'USERS OK - 3 users; outside of its own ranges: time left',
    values: [
      { name: 'users', value: 3, unit: null },
      { name: 'time left', value: 12.5, unit: 's' },
    ],
  });
});

test('arguments reach it as they are: there is no shell', async () => {
  const found = await run('printf "%s " "$@"', {
    args: ['$(touch x)', '; rm -rf /', '*', 'a b'],
    name: 'args',
  });
  expect(found).toMatchObject({ instance: 'args', message: '$(touch x) ; rm -rf / * a b' });
});

test('nothing of our own environment reaches it', async () => {
  process.env['SECRET_OF_OURS'] = 'hunter2';
  onTestFinished(() => void delete process.env['SECRET_OF_OURS']);
  expect((await run('env | grep -c SECRET_OF_OURS; exit 0')).message).toBe('0');
});

describe('a plugin that misbehaves', () => {
  test('and hangs is ended in time', async () => {
    const found = await run('exec sleep 1234.5', { timeoutSeconds: 0.5 });
    expect(found).toMatchObject({
      status: 'unknown',
      message: 'it did not end within 0.5 s and was ended',
    });
    expect(found.ms).toBeLessThan(2000);
    expect(isRunning('sleep 1234.5')).toBe(false);
  });

  test('and forks is ended with all that it started, whether it waits for them or not', async () => {
    const waiting = await run('sleep 2345.5 & sleep 2345.5 & wait', { timeoutSeconds: 0.5 });
    expect(waiting).toMatchObject({ status: 'unknown' });
    const left = await run('sleep 2345.5 & echo "OK - gone"; exit 0', { timeoutSeconds: 5 });
    expect(left).toMatchObject({ status: 'healthy', message: 'OK - gone' });
    expect(left.ms).toBeLessThan(2500);
    expect(isRunning('sleep 2345.5')).toBe(false);
  });

  test('and prints 100 MB of binary is ended, in bounded memory', async () => {
    const before = process.memoryUsage().arrayBuffers;
    const found = await run('head -c 104857600 /dev/urandom', { timeoutSeconds: 20 });
    expect(found).toMatchObject({
      status: 'unknown',
      message: expect.stringContaining('printed more than 256.0 KiB'),
    });
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(32 * 1024 ** 2);
  });

  test('and prints a little binary does not spoil the terminal', async () => {
    const found = await run(String.raw`printf 'OK \033[31mred\007 \377\376 | a=1'`);
    // eslint-disable-next-line no-control-regex -- that is what must not be there
    expect(found.message).not.toMatch(/[\u0000-\u001f\ufffd]/);
    expect(found.values).toEqual([{ name: 'a', value: 1, unit: null }]);
  });
});

describe('what may not be run', () => {
  const refused = (command: string, folders: string[]) =>
    measureOne('plugin', { command }, { pluginFolders: folders });

  test('is anything, until a folder is allowed', async () => {
    await script('exit 0');
    expect(await refused(join(folder, 'check_it'), [])).toMatchObject({
      status: 'unknown',
      message: expect.stringContaining('no folder of plugins is allowed'),
    });
  });

  test('is a file elsewhere, by path, by dots or by a link', async () => {
    await symlink('/bin/sh', join(folder, 'check_link'));
    for (const command of ['/bin/sh', '../../../../../../bin/sh', 'check_link']) {
      expect(await refused(command, [folder])).toMatchObject({
        status: 'unknown',
        message: expect.stringContaining('not in a folder of plugins'),
      });
    }
  });

  test('is what is not there, is no program, or can be changed by anybody', async () => {
    expect(await refused('check_none', [folder])).toMatchObject({
      message: expect.stringContaining('there is no plugin check_none'),
    });
    await script('exit 0', 'open');
    await chmod(join(folder, 'open'), 0o777);
    expect(await refused('open', [folder])).toMatchObject({
      message: expect.stringContaining('may be changed by anybody'),
    });
    await writeFile(join(folder, 'text'), 'exit 0');
    expect(await refused('text', [folder])).toMatchObject({
      status: 'unknown',
      message: expect.stringContaining("can't be executed"),
    });
  });
});

describe.skipIf(!existsSync(debian))("Debian's own plugins", () => {
  const real = (command: string, args: string[]) =>
    measureOne('plugin', { command, args }, { pluginFolders: [debian] });

  test('run as they are', async () => {
    expect(await real('check_dummy', ['1', 'so so'])).toMatchObject({
      status: 'warning',
      message: 'WARNING: so so',
    });
    const load = await real('check_load', ['-w', '1000,1000,1000', '-c', '2000,2000,2000']);
    expect(load).toMatchObject({ status: 'healthy' });
    expect(load.values.map((v) => v.name)).toEqual(['load1', 'load5', 'load15']);
    const users = await real('check_users', ['-w', '1000', '-c', '2000']);
    expect(users.values[0]).toMatchObject({ name: 'users' });
  });
});
