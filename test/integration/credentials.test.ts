import { execFile } from 'node:child_process';
import { chmod, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { createCredentials } from '../../src/workers/credentials/index.ts';
import { environmentStore } from '../../src/workers/credentials/environment.ts';
import { fileStore } from '../../src/workers/credentials/file.ts';
import { keyringStore } from '../../src/workers/credentials/keyring.ts';
import { scratchHome } from '../support/home.ts';

const run = promisify(execFile);
const modeOf = async (path: string) => (await stat(path)).mode & 0o777;

test('the file keeps a secret sealed, for its owner alone', async () => {
  const home = await scratchHome();
  await fileStore(home).set('mail', 'password', 'hunter2');
  expect(await fileStore(home).get('mail', 'password')).toBe('hunter2');
  expect((await readFile(join(home, 'secrets.enc'))).includes('hunter2')).toBe(false);
  expect(await modeOf(join(home, 'secrets.enc'))).toBe(0o600);
  expect(await modeOf(join(home, 'secrets.key'))).toBe(0o600);
});

test.each(['secrets.enc', 'secrets.key'])('%s is refused if others can read it', async (name) => {
  const home = await scratchHome();
  await fileStore(home).set('mail', 'password', 'x');
  await chmod(join(home, name), 0o640);
  await expect(fileStore(home).get('mail', 'password')).rejects.toMatchObject({
    code: 'CREDENTIAL_FILE_EXPOSED',
    kind: 'auth',
    hint: expect.stringContaining('chmod 600'),
  });
  // Nor is it passed over in silence for the lack of any other store.
  const credentials = createCredentials([environmentStore({}), fileStore(home)]);
  await expect(credentials.get('mail', 'password')).rejects.toMatchObject({
    code: 'CREDENTIAL_FILE_EXPOSED',
  });
});

test('a damaged file is an error, not an empty store', async () => {
  const home = await scratchHome();
  await fileStore(home).set('mail', 'password', 'x');
  await writeFile(join(home, 'secrets.enc'), Buffer.alloc(64), { mode: 0o600 });
  await expect(fileStore(home).list()).rejects.toMatchObject({ code: 'CREDENTIAL_STORE' });
});

test('many writers at once lose nothing', async () => {
  const home = await scratchHome();
  await Promise.all(Array.from({ length: 12 }, (_, i) => fileStore(home).set('s', `k${i}`, String(i))));
  expect(await fileStore(home).list()).toHaveLength(12);
});

test('the environment wins, and a store that can not be used is passed over', async () => {
  const home = await scratchHome();
  const broken = { ...fileStore(home), name: 'keyring' as const, get: keyringStore('x').get };
  const credentials = createCredentials([
    environmentStore({ RMM_API_KEY: 'from env' }),
    broken,
    fileStore(home),
  ]);
  expect(await credentials.get('rmm', 'api-key')).toBe('from env');
  await fileStore(home).set('mail', 'password', 'from file');
  expect(await credentials.get('mail', 'password')).toBe('from file');
});

test('without a keyring a secret goes to the file, and removing it removes it', async () => {
  const home = await scratchHome();
  const credentials = createCredentials([environmentStore({}), keyringStore('x'), fileStore(home)]);
  expect(await credentials.set('mail', 'password', 'x')).toBe('file');
  expect(await credentials.list()).toEqual([{ service: 'mail', key: 'password', store: 'file' }]);
  expect(await credentials.remove('mail', 'password')).toEqual(['file']);
  expect(await credentials.list()).toEqual([]);
});

test('where a Secret Service runs, secrets go there and come back', async () => {
  const script = `
    import { keyringStore } from '${join(import.meta.dirname, '../../src/workers/credentials/keyring.ts')}';
    const store = keyringStore('msp-toolkit:test');
    await store.set('mail', 'password', 'from the keyring');
    const got = await store.get('mail', 'password');
    const listed = await store.list();
    const removed = await store.remove('mail', 'password');
    const after = await store.get('mail', 'password');
    console.log(JSON.stringify({ got, listed, removed, after: after ?? null }));`;
  const home = await scratchHome();
  const { stdout } = await run(
    'dbus-run-session',
    [
      '--',
      'sh',
      '-c',
      `printf '\\n' | gnome-keyring-daemon --unlock --components=secrets >/dev/null && exec "$0" --input-type=module -e "$1"`,
      process.execPath,
      script,
    ],
    {
      env: { ...process.env, HOME: home, XDG_DATA_HOME: join(home, 'data'), XDG_RUNTIME_DIR: home },
      cwd: join(import.meta.dirname, '../..'),
    },
  );
  expect(JSON.parse(stdout)).toEqual({
    got: 'from the keyring',
    listed: [{ service: 'mail', key: 'password' }],
    removed: true,
    after: null,
  });
});
