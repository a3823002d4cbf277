import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';

const main = join(import.meta.dirname, '../../dist/main.js');

export interface Ran {
  code: number | null;
  stdout: string;
  stderr: string;
  /** Standard output as the one JSON document that it must be. */
  json<T = Record<string, unknown>>(): T;
}

export interface RunOptions {
  home: string;
  env?: Record<string, string>;
  input?: string;
  cwd?: string;
}

/** Starts the built program. Nothing of the tester's own environment but PATH reaches it. */
export function start(args: string[], { home, env = {}, cwd }: RunOptions): ChildProcess {
  const child = spawn(process.execPath, [main, ...args], {
    env: { PATH: process.env['PATH'] ?? '', HOME: home, MSP_HOME: home, TZ: 'UTC', ...env },
    cwd: cwd ?? home,
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  return child;
}

/** Runs the built program to its end. */
export async function cli(args: string[], options: RunOptions): Promise<Ran> {
  const child = start(args, options);
  let stdout = '';
  let stderr = '';
  child.stdout?.on('data', (data: Buffer) => (stdout += data.toString()));
  child.stderr?.on('data', (data: Buffer) => (stderr += data.toString()));
  child.stdin?.end(options.input ?? '');
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, stdout, stderr, json: () => JSON.parse(stdout) };
}
