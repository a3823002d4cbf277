import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { openToolkit } from '../src/entry/toolkit.ts';
import { median, milliseconds, rounds, tidy } from './measure.ts';

const run = promisify(execFile);
const main = join(import.meta.dirname, '../dist/main.js');

/** Whole-process time of short commands against that of an empty program. */
export async function startUp(home: string): Promise<Record<string, number>> {
  const own = join(home, 'start-up');
  const toolkit = await openToolkit({ home: own, config: {} });
  for (let i = 0; i < 1000; i += 1) await toolkit.clients.add({ name: `Client ${i}` });
  await toolkit.close();
  const env = { PATH: process.env['PATH'], MSP_HOME: own, HOME: own };
  const node = (...args: string[]) =>
    milliseconds(() => run(process.execPath, args, { env, maxBuffer: 1 << 26 }));
  const commands = {
    empty: ['-e', '0'],
    version: [main, '--version'],
    list: [main, 'client', 'list', '--json'],
  };
  // Once for the compile cache, as on any machine that has run the command before.
  for (const args of Object.values(commands)) await node(...args);
  const times = { empty: [] as number[], version: [] as number[], list: [] as number[] };
  for (let round = 0; round < rounds * 2; round += 1) {
    for (const key of ['empty', 'version', 'list'] as const) times[key].push(await node(...commands[key]));
  }
  return {
    versionVsNode: tidy(median(times.version) / median(times.empty)),
    clientListVsNode: tidy(median(times.list) / median(times.empty)),
  };
}
