import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import type { ConfigInput } from '../../src/entry/config.ts';
import { openToolkit, type Toolkit } from '../../src/entry/toolkit.ts';
import type { Clock } from '../../src/domain/clock.ts';
import { fastClocks } from './clocks.ts';
import { scratchHome } from './home.ts';

export interface TestToolkit {
  home: string;
  toolkit: Toolkit;
  /** Starts a worker process and answers once it takes jobs. */
  workerProcess(): Promise<ChildProcess>;
}

/** A toolkit on a home of its own, without workers until they are asked for. */
export async function testToolkit(
  config: ConfigInput = {},
  { environment: more = {}, ...options }: { clock?: Clock; environment?: Record<string, string> } = {},
): Promise<TestToolkit> {
  const home = await scratchHome();
  const environment = { PATH: process.env['PATH'], ...more };
  const toolkit = await openToolkit({
    home,
    config,
    environment,
    actor: 'test',
    clocks: fastClocks,
    ...options,
  });
  onTestFinished(() => toolkit.close(500));
  return {
    home,
    toolkit,
    async workerProcess() {
      const script = join(import.meta.dirname, 'worker-process.ts');
      const worker = spawn(process.execPath, [script, home, JSON.stringify(config)], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      onTestFinished(() => void worker.kill('SIGKILL'));
      await once(worker.stdout, 'data');
      return worker;
    },
  };
}

/** A client whose one device is this host. */
export async function clientHere(
  toolkit: Toolkit,
  services: string[] = ['node'],
): Promise<{ clientId: string; deviceId: string }> {
  const client = await toolkit.clients.add({
    name: 'Acme Corp',
    contactEmail: 'it@acme.example',
    tier: 'gold',
  });
  const device = await toolkit.devices.add({
    clientId: client.id,
    name: hostname(),
    type: 'server',
    metadata: { services },
  });
  return { clientId: client.id, deviceId: device.id };
}
