import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { scratchHome } from '../support/home.ts';

const run = promisify(execFile);
const root = join(import.meta.dirname, '../..');

test('the example runs as it stands', async () => {
  const home = await scratchHome();
  const { stdout } = await run(process.execPath, [join(root, 'examples/library.ts')], {
    env: { PATH: process.env['PATH'], MSP_HOME: home },
  });
  expect(stdout).toMatch(/^Library Example Ltd is \w+:\n {2}cpu/);
  const path = stdout.trim().split('\n').at(-1) ?? '';
  expect(await readFile(path, 'utf8')).toContain('# Library Example Ltd');
});

test('the built package is a library too', async () => {
  const home = await scratchHome();
  const code = `import { openToolkit } from '${join(root, 'dist/index.js')}';
    const toolkit = await openToolkit({ home: process.argv[1], config: {} });
    console.log((await toolkit.clients.add({ name: 'A' })).id);
    await toolkit.close();`;
  const { stdout } = await run(process.execPath, ['--input-type=module', '-e', code, home], {
    env: { PATH: process.env['PATH'] },
  });
  expect(stdout).toBe('a\n');
});
