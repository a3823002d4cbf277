import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** Memory of an engine after 100,000 jobs to that after 1,000, in a process of its own. */
export async function memory(home: string): Promise<Record<string, number>> {
  const script = join(import.meta.dirname, 'memory-worker.ts');
  const { stdout } = await run(process.execPath, ['--expose-gc', script, home]);
  return JSON.parse(stdout) as Record<string, number>;
}
