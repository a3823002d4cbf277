import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { onTestFinished } from 'vitest';
import { until } from './home.ts';

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

/** A Redis on a loopback port, as a company might run one. Ends with the test. */
export async function externalRedis(
  args: string[] = ['--appendonly', 'yes'],
  password?: string,
): Promise<{ url: string }> {
  const folder = await mkdtemp(join(tmpdir(), 'msp-redis-'));
  const port = await freePort();
  const secured = password ? ['--requirepass', password] : [];
  const server = spawn(
    'redis-server',
    ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--dir', folder, ...args, ...secured],
    {
      stdio: 'ignore',
    },
  );
  onTestFinished(async () => {
    server.kill('SIGKILL');
    await rm(folder, { recursive: true, force: true });
  });
  const url = `redis://${password ? `:${password}@` : ''}127.0.0.1:${port}`;
  const probe = new Redis(url, { retryStrategy: () => 20 });
  probe.on('error', () => {});
  await until('Redis answers', async () => (await probe.ping().catch(() => '')) === 'PONG');
  probe.disconnect();
  return { url };
}
