import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { once } from 'node:events';
import { hostname } from 'node:os';
import { onTestFinished } from 'vitest';
import type { Measurement } from '../../src/domain/check/check.ts';
import { systemClock } from '../../src/domain/clock.ts';
import type { ProbeTarget } from '../../src/domain/ports.ts';
import { addressGuard, deniedByDefault } from '../../src/workers/probes/guard.ts';
import { catalogue } from '../../src/workers/probes/index.ts';
import { localProber, type ProberSettings } from '../../src/workers/probes/prober.ts';

export const here: ProbeTarget = {
  id: 'd1',
  name: hostname(),
  type: 'server',
  rmmDeviceId: null,
  metadata: {},
};

/** Runs one check as a worker would, on this host unless told otherwise. */
export async function measure(
  check: string,
  settings: Record<string, unknown> | Record<string, unknown>[] = {},
  options: Partial<ProberSettings> & { device?: ProbeTarget; signal?: AbortSignal } = {},
): Promise<Measurement[]> {
  const { device = here, signal = new AbortController().signal, ...rest } = options;
  const type = catalogue.find((t) => t.name === check);
  if (!type) throw new Error(`no check ${check}`);
  const prober = localProber({
    catalogue,
    clock: systemClock,
    forbidden: addressGuard(deniedByDefault),
    pluginFolders: [],
    ...rest,
  });
  const all = (Array.isArray(settings) ? settings : [settings]).map((s) => ({
    check,
    settings: type.settings.parse(s),
  }));
  return prober.measure(device, { checks: all, trends: {} }, signal);
}

/** The only measurement of a check. */
export async function measureOne(...args: Parameters<typeof measure>): Promise<Measurement> {
  const [first, ...others] = await measure(...args);
  if (!first || others.length > 0) throw new Error(`${others.length + 1} measurements instead of one`);
  return first;
}

/** The port of a server that was told to listen on loopback; it is closed when the test ends. */
export async function listening(server: Server): Promise<number> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
  });
  server.listen(0, '127.0.0.1');
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

/** A TCP server on loopback that does with each connection what it is told. */
export function tcpServer(serve: (socket: Socket) => void = () => {}): Promise<number> {
  return listening(createServer(serve));
}
