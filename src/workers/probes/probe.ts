import { lookup } from 'node:dns';
import { lookup as resolveAll } from 'node:dns/promises';
import { isIP, type LookupFunction } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import type { MeasureContext } from '../../domain/check/check-type.ts';
import type { ProbeTarget } from '../../domain/ports.ts';

export function percent(part: number, whole: number): number {
  return Math.round((part / whole) * 1000) / 10;
}

/** To a tenth, which is more than a network can promise. */
export function tenths(n: number): number {
  return Math.round(n * 10) / 10;
}

/** Bytes for people: `13.4 GiB`. */
export function bytes(n: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];
  let value = n;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${value.toFixed(unit === 0 ? 0 : 1)} ${units[unit]}`;
}

/** `1 host`, `2 hosts` */
export function count(n: number, one: string): string {
  return `${n} ${one}${n === 1 ? '' : 's'}`;
}

export const hostSchema = z
  .string()
  .min(1)
  .max(253)
  .regex(/^[a-zA-Z0-9._:%-]+$/, 'must be a host name or an address')
  .refine((host) => !host.startsWith('-'), 'must not start with -');

/** Seconds that a check may take; the default is its own. */
export function timeoutSchema(seconds: number) {
  return z.number().min(0.1).max(60).default(seconds);
}

/** Where a device is reached unless the check's settings say otherwise. */
export function addressOf(device: ProbeTarget): string {
  const address = device.metadata.address ?? device.name;
  if (hostSchema.safeParse(address).success) return address;
  throw new Error(`"${address}" is no host name; set the device's metadata.address`);
}

/** An address of a host that this machine may talk to. Throws ForbiddenAddress, or what the resolver throws. */
export async function allowedAddress(host: string, around: MeasureContext): Promise<string> {
  assertAllowed(host, around);
  const found = await resolveAll(host, { all: true });
  const allowed = found.find(({ address }) => around.forbidden(address) === undefined);
  if (allowed) return allowed.address;
  const why = around.forbidden(found[0]?.address ?? '') ?? 'it has no address';
  throw new ForbiddenAddress(`${host} must not be checked: ${why}`);
}

const pending = new Set<string>();

/**
 * Looks at a path that may never answer, such as a folder of a server that is away: what asks for it is held for good, so
 * it must not be asked for again before it has. Throws where an earlier look has not come back.
 */
export async function lookAt<T>(path: string, look: () => Promise<T>): Promise<T> {
  if (pending.has(path)) throw new Error(`an earlier look at ${path} has not come back`);
  pending.add(path);
  try {
    return await look();
  } finally {
    pending.delete(path);
  }
}

/** What went wrong, in a few words for a finding. */
export function reasonOf(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) return reasonOf(error.errors[0]);
  return error instanceof Error ? error.message || error.name : String(error);
}

/** An address that this machine must not talk to. */
export class ForbiddenAddress extends Error {
  override name = 'ForbiddenAddress';
}

/** Throws ForbiddenAddress for a host that is an address of that kind; names are looked at when they are resolved. */
export function assertAllowed(host: string, around: MeasureContext): void {
  const bare = host.replace(/^\[|\]$/g, '');
  const why = isIP(bare) ? around.forbidden(bare) : undefined;
  if (why) throw new ForbiddenAddress(`${bare} must not be checked: ${why}`);
}

/**
 * A resolver for sockets that leaves out addresses this machine must not talk to: the address that was looked at is the
 * one that is connected to, so a name that changes its answer gets nowhere.
 */
export function guardedLookup(around: MeasureContext): LookupFunction {
  return (hostname, options, callback) => {
    lookup(hostname, { ...options, all: true }, (error, addresses) => {
      if (error) return callback(error, '');
      const allowed = addresses.filter(({ address }) => around.forbidden(address) === undefined);
      const [first] = allowed;
      if (!first) {
        const why = around.forbidden(addresses[0]?.address ?? '') ?? 'it has no address';
        return callback(new ForbiddenAddress(`${hostname} must not be checked: ${why}`), '');
      }
      if (options.all) callback(null, allowed);
      else callback(null, first.address, first.family);
    });
  };
}

/** Waits; rejects as soon as the signal is aborted. */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await delay(ms, undefined, { signal });
}
