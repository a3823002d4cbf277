import { connect, type Socket } from 'node:net';
import type { MeasureContext } from '../../domain/check/check-type.ts';
import { assertAllowed, guardedLookup } from './probe.ts';

/**
 * Connects to a host and answers with the socket and how long it took. The socket is destroyed when the signal is
 * aborted, and is the caller's to end before that.
 */
export function openSocket(
  host: string,
  port: number,
  around: MeasureContext,
): Promise<{ socket: Socket; ms: number }> {
  const { signal } = around;
  assertAllowed(host, around);
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const began = performance.now();
    const socket = connect({ host: host.replace(/^\[|\]$/g, ''), port, lookup: guardedLookup(around) });
    const giveUp = () => socket.destroy(signal.reason instanceof Error ? signal.reason : undefined);
    signal.addEventListener('abort', giveUp, { once: true });
    socket.once('close', () => signal.removeEventListener('abort', giveUp));
    socket.once('error', reject);
    socket.once('connect', () => {
      socket.off('error', reject);
      resolve({ socket, ms: performance.now() - began });
    });
  });
}

/** `host:port`, `[::1]:443` */
export function splitTarget(target: string): { host: string; port: number } {
  const cut = target.lastIndexOf(':');
  return { host: target.slice(0, cut).replace(/^\[|\]$/g, ''), port: Number(target.slice(cut + 1)) };
}
