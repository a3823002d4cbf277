import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { createLog } from '../../../src/entry/logging.ts';
import { scratchHome } from '../../support/home.ts';

async function logged(write: (log: ReturnType<typeof createLog>) => void) {
  const file = join(await scratchHome(), 'nested', 'x.log');
  write(createLog({ level: 'info', file }));
  return { text: await readFile(file, 'utf8'), file };
}

test('a secret survives neither in the message nor in a field nor in an error', async () => {
  const { text } = await logged((log) =>
    log.error(
      {
        err: new Error('connect redis://:hunter2@host failed'),
        headers: { authorization: 'Bearer hunter2hunter2' },
        deep: [{ password: 'hunter2' }],
      },
      'tried postgres://u:hunter2@db and password=hunter2',
    ),
  );
  expect(text).not.toContain('hunter2');
  expect(JSON.parse(text)).toMatchObject({
    level: 'error',
    err: { message: 'connect redis://:***@host failed' },
  });
});

test('what lies below the level is not written', async () => {
  const { text } = await logged((log) => {
    log.debug({}, 'not this');
    log.info({}, 'but this');
  });
  expect(
    text
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line).msg),
  ).toEqual(['but this']);
});

test('a log file belongs to its owner alone', async () => {
  const { file } = await logged((log) => log.info({}, 'x'));
  expect((await stat(file)).mode & 0o077).toBe(0);
});
