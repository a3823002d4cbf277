import { EventEmitter, once } from 'node:events';
import type { Redis } from 'ioredis';
import { z } from 'zod';
import { progressSchema } from '../../domain/job.ts';
import type { Log } from '../../domain/log.ts';
import type { RedisLink } from './redis-link.ts';

const signalSchema = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('progress'), id: z.string(), progress: progressSchema }),
  z.object({ kind: z.literal('ended'), id: z.string() }),
  z.object({ kind: z.literal('cancel'), id: z.string() }),
]);
export type Signal = z.infer<typeof signalSchema>;

const textSchema = z
  .string()
  .transform((text, context): unknown => {
    try {
      return JSON.parse(text);
    } catch {
      context.addIssue('not JSON');
      return z.NEVER;
    }
  })
  .pipe(signalSchema);

/**
 * News between processes: faster than asking the database, but never relied on. Whoever waits for a signal asks
 * the database as well.
 */
export interface Signals {
  publish(signal: Signal): void;
  /** Calls `listener` with each signal about job `id` (or every job for '*') until the returned function is called. */
  on(id: string, listener: (signal: Signal) => void): () => void;
  /** Resolves once news can go out and come in, or after a second without. */
  ready(): Promise<void>;
  close(): void;
}

/** Connects at the first use; a Redis that is away costs nothing but the news. */
export function openSignals(link: RedisLink, log: Log): Signals {
  const channel = `${link.prefix}:signals`;
  const local = new EventEmitter().setMaxListeners(0);
  let publisher: Redis | undefined;
  let subscriber: Redis | undefined;

  function subscribe(): void {
    if (subscriber) return;
    publisher ??= link.connect();
    subscriber = link.connect();
    subscriber.on('ready', () => {
      subscriber
        ?.subscribe(channel)
        .catch((error: unknown) => log.debug({ err: error }, 'Could not subscribe'));
    });
    subscriber.on('message', (_channel, text) => {
      const parsed = textSchema.safeParse(text);
      if (!parsed.success) return;
      local.emit(parsed.data.id, parsed.data);
      local.emit('*', parsed.data);
    });
  }

  return {
    publish(signal) {
      publisher ??= link.connect();
      // News that can't go out now is old news later.
      if (publisher.status === 'ready') publisher.publish(channel, JSON.stringify(signal)).catch(() => {});
    },
    on(id, listener) {
      subscribe();
      local.on(id, listener);
      return () => local.off(id, listener);
    },
    async ready() {
      subscribe();
      const limit = AbortSignal.timeout(1000);
      const all = [publisher, subscriber].map(async (connection) => {
        if (connection && connection.status !== 'ready') await once(connection, 'ready', { signal: limit });
      });
      await Promise.allSettled(all);
    },
    close() {
      publisher?.disconnect();
      subscriber?.disconnect();
    },
  };
}
