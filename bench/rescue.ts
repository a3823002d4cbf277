import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { benchEngine, endless } from './engine.ts';
import { median, tidy } from './measure.ts';

const rounds = 3;

/** From the kill -9 of a worker to the next start of its job in another, with the usual clocks, in s. */
export async function rescue(home: string): Promise<Record<string, number>> {
  const { engine, storage, work, close } = await benchEngine(home, 'rescue');
  const times: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    const script = join(import.meta.dirname, 'rescue-worker.ts');
    const worker = spawn(process.execPath, [script, home], { stdio: ['ignore', 'pipe', 'inherit'] });
    await once(worker.stdout, 'data');
    const { id } = await engine.submit(endless, {}, { requestedBy: 'bench' });
    while (engine.get(id).state !== 'running') await delay(20);
    const other = await work();
    worker.kill('SIGKILL');
    const killed = performance.now();
    while (storage.read.attempts(id).length < 2) await delay(20);
    times.push((performance.now() - killed) / 1000);
    await engine.cancel(id, 'bench');
    await engine.wait(id);
    await other.close(1000);
  }
  await close();
  return { rescueS: tidy(median(times)) };
}
