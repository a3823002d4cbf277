import { type JobsOptions, Queue, type QueueOptions } from 'bullmq';
import type { Redis } from 'ioredis';
import { DomainError } from '../../domain/errors.ts';
import type { Log } from '../../domain/log.ts';
import { type Policy, type QueueName, queueNames } from './define.ts';
import { promptMs, type RedisLink } from './redis-link.ts';

/** One BullMQ queue for each kind of work, for those who put jobs in. */
export interface Queues {
  get(name: QueueName): Queue;
  /** The number of workers that are connected, by queue. Throws REDIS_UNAVAILABLE. */
  workers(): Promise<Record<QueueName, number>>;
  close(): Promise<void>;
}

/** BullMQ's option for tracing, where it is configured. */
export function telemetry(link: RedisLink): Pick<QueueOptions, 'telemetry'> {
  return link.telemetry ? { telemetry: link.telemetry } : {};
}

/** BullMQ's options for a job of this policy. The row is the record, so Redis keeps nothing of what has ended. */
export function queueOptions(policy: Policy, jobId: string): JobsOptions {
  return {
    jobId,
    attempts: policy.attempts,
    backoff: { type: 'exponential', delay: policy.backoffMs, jitter: 0.5 },
    removeOnComplete: true,
    removeOnFail: true,
  };
}

/** Rejects with REDIS_UNAVAILABLE when `work` has not ended within a second: a queue may wait for ever by itself. */
export async function promptly<T>(work: Promise<T>, link: RedisLink): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  let answered = false;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      // This process may have been busy itself: an answer that has arrived meanwhile is read first.
      setImmediate(() => {
        if (answered) return;
        // A connection that has gone silent would stay so; the next call gets a new one.
        link.renew();
        reject(new Error(`no answer within ${promptMs} ms`));
      });
    }, promptMs);
  });
  work.then(
    () => (answered = true),
    () => (answered = true),
  );
  try {
    return await Promise.race([work, late]);
  } catch (error) {
    if (error instanceof Error && /\bOOM\b/.test(error.message)) {
      throw new DomainError('REDIS_FULL', `Redis at ${link.address} has used up its memory.`, {
        details: { address: link.address },
        hint: 'Raise maxmemory there. Jobs that were accepted are kept and handed over then.',
        cause: error,
      });
    }
    throw new DomainError('REDIS_UNAVAILABLE', `Redis at ${link.address} does not answer.`, {
      details: { address: link.address, reason: error instanceof Error ? error.message : String(error) },
      hint: 'Jobs that were accepted are kept and handed over once it is back.',
      cause: error,
    });
  } finally {
    clearTimeout(timer);
  }
}

export function openQueues(link: RedisLink, log: Log): Queues {
  const open = new Map<QueueName, Queue>();
  // One connection for all of them, and one that `link` can replace.
  let connection: Redis | undefined;
  function get(name: QueueName): Queue {
    let queue = open.get(name);
    if (!queue) {
      connection ??= link.connect();
      queue = new Queue(name, { connection, prefix: link.prefix, ...telemetry(link) });
      queue.on('error', (error) => log.debug({ err: error, queue: name }, 'Queue connection error'));
      open.set(name, queue);
    }
    return queue;
  }
  return {
    get,
    async workers() {
      const counts = await Promise.all(
        queueNames.map(async (name) => [name, await promptly(get(name).getWorkersCount(), link)] as const),
      );
      return Object.fromEntries(counts) as Record<QueueName, number>;
    },
    async close() {
      await Promise.allSettled([...open.values()].map((queue) => promptly(queue.close(), link)));
    },
  };
}
