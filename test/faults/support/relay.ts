import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { onTestFinished } from 'vitest';

export interface FaultRelay {
  port: number;
  /** Breaks all connections off and refuses new ones. */
  cut(): void;
  /** Swallows what comes in, as a broken network does: no answer, no error, on old connections for good. */
  swallow(): void;
  /** Lets new connections through again. */
  pass(): void;
}

/** A small TCP relay in front of a server on loopback, which can be made to fail. */
export async function faultRelay(target: number): Promise<FaultRelay> {
  let mode: 'pass' | 'cut' | 'swallow' = 'pass';
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => sockets.delete(socket));
    if (mode === 'cut') {
      socket.destroy();
      return;
    }
    // Reads and says nothing.
    if (mode === 'swallow') {
      socket.resume();
      return;
    }
    const onward = connect(target, '127.0.0.1');
    onward.on('error', () => socket.destroy());
    onward.on('close', () => {
      // What was swallowed stays without an answer, even that the other side has gone.
      if (!swallowed.has(socket)) socket.destroy();
    });
    socket.on('close', () => onward.destroy());
    socket.pipe(onward);
    onward.pipe(socket);
    ends.set(socket, onward);
  });
  const ends = new Map<Socket, Socket>();
  const swallowed = new WeakSet<Socket>();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return {
    port: (server.address() as AddressInfo).port,
    cut() {
      mode = 'cut';
      for (const socket of sockets) socket.destroy();
    },
    swallow() {
      mode = 'swallow';
      for (const socket of sockets) {
        swallowed.add(socket);
        socket.unpipe();
        socket.resume();
        ends.get(socket)?.destroy();
      }
    },
    pass() {
      mode = 'pass';
    },
  };
}
