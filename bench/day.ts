import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';

/** A simulated day of 10,000 devices, in a process of its own whose memory can be told; see day-worker.ts. */
export async function dayOf10kDevices(home: string): Promise<Record<string, object>> {
  const worker = spawn(process.execPath, ['--expose-gc', join(import.meta.dirname, 'day-worker.ts'), home], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let text = '';
  worker.stdout.on('data', (data: Buffer) => (text += data.toString()));
  const [code] = (await once(worker, 'close')) as [number | null];
  if (code !== 0) throw new Error(`the simulated day ended with ${code}`);
  return { dayOf10kDevices: JSON.parse(text) as object };
}
