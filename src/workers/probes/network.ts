import { readFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { networkInterfaces } from 'node:os';
import { type Finding, type Probe, unknown } from './probe.ts';

/** How long a host may take to accept a connection, in ms. */
const connectMs = 3000;

/** Milliseconds until `host:port` accepted a connection. */
export function connectTime(target: string, signal: AbortSignal): Promise<number> {
  const cut = target.lastIndexOf(':');
  const [host, port] = [target.slice(0, cut).replace(/^\[|\]$/g, ''), Number(target.slice(cut + 1))];
  return new Promise((resolve, reject) => {
    const started = performance.now();
    const socket = connect({ host, port, timeout: connectMs });
    const giveUp = () => socket.destroy(new Error('given up'));
    signal.addEventListener('abort', giveUp, { once: true });
    socket.once('connect', () => {
      resolve(performance.now() - started);
      socket.destroy();
    });
    socket.once('timeout', () => socket.destroy(new Error(`no answer within ${connectMs} ms`)));
    socket.once('error', reject);
    socket.once('close', () => signal.removeEventListener('abort', giveUp));
  });
}

async function targetFinding(target: string, signal: AbortSignal): Promise<Finding> {
  try {
    const ms = Math.round((await connectTime(target, signal)) * 10) / 10;
    return {
      instance: target,
      status: 'healthy',
      value: ms,
      unit: 'ms',
      message: `${target} answered in ${ms} ms`,
    };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return {
      instance: target,
      status: 'critical',
      value: null,
      unit: 'ms',
      message: `${target} is out of reach: ${reason}`,
    };
  }
}

/**
 * The kernel's own knowledge of the default gateway (Linux): its address and whether the neighbour table has an
 * answer from it. Nothing is sent.
 */
async function gatewayFinding(): Promise<Finding | undefined> {
  let route: string;
  let neighbours: string;
  try {
    [route, neighbours] = await Promise.all([
      readFile('/proc/net/route', 'utf8'),
      readFile('/proc/net/arp', 'utf8'),
    ]);
  } catch {
    return undefined;
  }
  const line = route
    .split('\n')
    .map((l) => l.split('\t'))
    .find((l) => l[1] === '00000000' && l[2] !== '00000000');
  const [iface, , hex] = line ?? [];
  if (!iface || !hex) return undefined;
  const address = [3, 2, 1, 0].map((i) => Number.parseInt(hex.slice(i * 2, i * 2 + 2), 16)).join('.');
  const entry = neighbours
    .split('\n')
    .map((l) => l.trim().split(/\s+/))
    .find((l) => l[0] === address && l[5] === iface);
  const flags = Number(entry?.[2] ?? 0);
  const base = { instance: 'gateway', value: null, unit: null };
  if (flags & 0x2)
    return { ...base, status: 'healthy', message: `gateway ${address} on ${iface} is known to answer` };
  return {
    ...base,
    status: 'unknown',
    message: `gateway ${address} on ${iface} has not been heard of lately`,
  };
}

/** Interfaces that are up, the gateway, and the hosts that the configuration names. */
export const network: Probe = {
  check: 'network',
  async measure(_device, wish, signal) {
    const up = Object.entries(networkInterfaces()).filter(([, addresses]) =>
      addresses?.some((a) => !a.internal),
    );
    const findings: Finding[] = [];
    if (up.length === 0) {
      findings.push({
        instance: 'interfaces',
        status: 'critical',
        value: 0,
        unit: 'up',
        message: 'no network interface has an address',
      });
    } else {
      const names = up.map(([name]) => name).join(', ');
      findings.push({
        instance: 'interfaces',
        status: 'healthy',
        value: up.length,
        unit: 'up',
        message: `up: ${names}`,
      });
    }
    const gateway = await gatewayFinding();
    if (gateway) findings.push(gateway);
    findings.push(...(await Promise.all(wish.networkTargets.map((target) => targetFinding(target, signal)))));
    // An interface that is up does not show that anything can be reached.
    if (findings.length === 1 && up.length > 0) {
      return unknown(
        'no gateway is known and no hosts to reach are configured (healthChecks.networkTargets)',
      );
    }
    return findings;
  },
};
