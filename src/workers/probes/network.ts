import { readFile } from 'node:fs/promises';
import { networkInterfaces } from 'node:os';
import { z } from 'zod';
import { defineCheck, type Finding, unknown } from '../../domain/check/check-type.ts';
import { splitTarget } from './connect.ts';
import { echoMs } from './echo.ts';
import { pingFinding } from './ping.ts';
import { hostSchema, reasonOf, tenths } from './probe.ts';
import { tcpFinding } from './tcp.ts';

const pings = { count: 3, replySeconds: 1 };
const connectSeconds = 3;
const resolveMs = 3000;

/** Interfaces that have an address, and how many of what they carried were errors since the system came up. */
async function interfacesFinding(): Promise<Finding> {
  const up = Object.entries(networkInterfaces())
    .filter(([, addresses]) => addresses?.some((a) => !a.internal))
    .map(([name]) => name);
  if (up.length === 0) {
    return { instance: 'interfaces', status: 'critical', message: 'no network interface has an address' };
  }
  const { networkStats } = await import('systeminformation');
  const stats = await networkStats(up.join(',')).catch(() => []);
  const errors = stats.reduce((sum, s) => sum + (s.rx_errors ?? 0) + (s.tx_errors ?? 0), 0);
  // In errors for each megabyte: a count that only ever grows would say nothing about now and then.
  const megabytes = stats.reduce((sum, s) => sum + (s.rx_bytes ?? 0) + (s.tx_bytes ?? 0), 0) / 1e6;
  const rate = megabytes > 0 ? tenths(errors / megabytes) : 0;
  return {
    instance: 'interfaces',
    status: 'healthy',
    message: `up: ${up.join(', ')}; ${errors} errors in ${tenths(megabytes)} MB`,
    values: [{ name: 'errors', value: rate, unit: 'per MB' }],
  };
}

/** The default gateway of a Linux system. */
async function defaultGateway(): Promise<string | undefined> {
  const route = await readFile('/proc/net/route', 'utf8').catch(() => '');
  const line = route
    .split('\n')
    .map((l) => l.split('\t'))
    .find((l) => l[1] === '00000000' && l[2] !== '00000000');
  const hex = line?.[2];
  return hex && [3, 2, 1, 0].map((i) => Number.parseInt(hex.slice(i * 2, i * 2 + 2), 16)).join('.');
}

async function gatewayAddress(): Promise<string | undefined> {
  if (process.platform === 'linux') return defaultGateway();
  const { networkGatewayDefault } = await import('systeminformation');
  return (await networkGatewayDefault()) || undefined;
}

/** Whether a name can be resolved with the system's own servers. */
async function resolutionFinding(name: string): Promise<Finding> {
  const { Resolver } = await import('node:dns/promises');
  const resolver = new Resolver({ timeout: resolveMs, tries: 1 });
  const began = performance.now();
  try {
    const found = await resolver.resolve4(name);
    const ms = tenths(performance.now() - began);
    return {
      instance: `resolve ${name}`,
      status: 'healthy',
      message: `${name} is ${found[0]}, found in ${ms} ms`,
      values: [{ name: 'latency', value: ms, unit: 'ms' }],
    };
  } catch (error) {
    return {
      instance: `resolve ${name}`,
      status: 'critical',
      message: `${name} can't be resolved by ${resolver.getServers().join(', ')}: ${reasonOf(error)}`,
      values: [{ name: 'latency', value: null, unit: 'ms' }],
    };
  }
}

/** A device's own way to the network: interfaces, gateway, chosen hosts and name resolution. */
export const network = defineCheck({
  name: 'network',
  about: 'The way out: gateway, chosen hosts, name resolution, interface errors',
  runs: 'on-device',
  settings: z.strictObject({
    targets: z
      .array(z.string().regex(/^.+:\d{1,5}$/, 'must be host:port'))
      .default([])
      .describe('host:port pairs to connect to.'),
    hosts: z.array(hostSchema).default([]).describe('Hosts to ping.'),
    resolve: z.array(hostSchema).default([]).describe('Names to resolve.'),
    gateway: z.boolean().default(true).describe('Ping the default gateway.'),
  }),
  values: {
    latency: { unit: 'ms', about: 'Time to an answer', warning: 500, critical: 2000 },
    loss: { unit: '%', about: 'Requests without an answer', warning: 20, critical: 60 },
    errors: { unit: 'per MB', about: 'Interface errors', warning: 1 },
  },
  timeoutMs: () => echoMs(pings.count, pings.replySeconds) + connectSeconds * 1000,
  async measure(_device, { targets, hosts, resolve, gateway }, around) {
    const address = gateway ? await gatewayAddress() : undefined;
    const ping = (instance: string, host: string) =>
      pingFinding(instance, host, pings.count, pings.replySeconds, around);
    const beyond = await Promise.all([
      ...(address ? [ping('gateway', address)] : []),
      ...hosts.map((host) => ping(host, host)),
      ...targets.map((target) =>
        tcpFinding({ ...splitTarget(target), timeoutSeconds: connectSeconds }, around),
      ),
      ...resolve.map(resolutionFinding),
    ]);
    // Many gateways answer no echo requests, so silence of theirs alone is not known to be bad.
    for (const finding of beyond) {
      if (finding.instance === 'gateway' && finding.status === 'critical') {
        finding.status = 'unknown';
        finding.message += '; it may be set not to';
      }
    }
    // A way out that was there and is gone is news.
    if (gateway && !address && beyond.length > 0)
      beyond.unshift({ instance: 'gateway', status: 'unknown', message: 'no default gateway is known' });
    const interfaces = await interfacesFinding();
    // An interface that is up does not show that anything can be reached.
    if (beyond.length === 0 && interfaces.status === 'healthy') {
      return unknown('no gateway is known and no hosts to reach are set (targets, hosts)');
    }
    return [interfaces, ...beyond];
  },
});
