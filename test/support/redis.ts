import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { onTestFinished } from 'vitest';
import { until } from './home.ts';

/** A port of loopback that nobody listens on now. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

export interface ExternalRedis {
  url: string;
  port: number;
  /** Kills it without a word. */
  kill(): Promise<void>;
  /** Starts it again with what it has on disk, and answers once it is ready. */
  startAgain(): Promise<void>;
}

/** A Redis on a loopback port, as a company might run one. Ends with the test. */
export async function externalRedis(
  args: string[] = ['--appendonly', 'yes'],
  password?: string,
): Promise<ExternalRedis> {
  const folder = await mkdtemp(join(tmpdir(), 'msp-redis-'));
  const port = await freePort();
  const secured = password ? ['--requirepass', password] : [];
  const flags = [
    '--port',
    String(port),
    '--bind',
    '127.0.0.1',
    '--save',
    '',
    '--dir',
    folder,
    ...args,
    ...secured,
  ];
  const start = () => spawn('redis-server', flags, { stdio: 'ignore' });
  let server = start();
  onTestFinished(async () => {
    server.kill('SIGKILL');
    await rm(folder, { recursive: true, force: true });
  });
  const url = `redis://${password ? `:${password}@` : ''}127.0.0.1:${port}`;
  async function ready(): Promise<void> {
    const probe = new Redis(url, { retryStrategy: () => 20 });
    probe.on('error', () => {});
    await until('Redis answers', async () => (await probe.ping().catch(() => '')) === 'PONG');
    probe.disconnect();
  }
  await ready();
  return {
    url,
    port,
    async kill() {
      server.kill('SIGKILL');
      await once(server, 'exit');
    },
    async startAgain() {
      server = start();
      await ready();
    },
  };
}
