import { setTimeout as delay } from 'node:timers/promises';
import { Queue, UnrecoverableError, Worker } from 'bullmq';
import type { Clock } from '../domain/clock.ts';
import { DomainError } from '../domain/errors.ts';
import type { Log } from '../domain/log.ts';
import type { Ports } from '../domain/ports.ts';
import type { Settings } from '../domain/settings.ts';
import { type ChildDefinition, defaultPlaces, type QueueName, type Registry } from '../jobs/engine/define.ts';
import type { Engine } from '../jobs/engine/engine.ts';
import type { RedisLink } from '../jobs/engine/redis-link.ts';
import { telemetry } from '../jobs/engine/queues.ts';
import type { RelayClocks } from '../jobs/engine/relay.ts';
import type { RunningAttempt, RuntimeParts } from './context.ts';
import { startHeartbeat } from './heartbeat.ts';
import { runChild, runJob } from './runtime.ts';

/** How quickly a crashed worker's jobs are taken over, in ms; tests shorten these. */
export interface RescueClocks {
  lockMs: number;
  stalledMs: number;
  relay?: RelayClocks;
}

/**
 * A killed worker's jobs are taken over after 5 to 10 s, and within 20 s even if the one that takes them over is killed
 * before it has begun.
 */
export const defaultRescueClocks: RescueClocks = { lockMs: 7000, stalledMs: 2500 };

export interface WorkerParts {
  link: RedisLink;
  registry: Registry;
  clock: Clock;
  log: Log;
  /** Absent on a machine that only probes and has no database. */
  engine?: Engine | undefined;
  ports: Ports;
  settings: Settings;
  queues: readonly QueueName[];
  concurrency?: Partial<Record<QueueName, number>> | undefined;
  clocks?: RescueClocks | undefined;
  name: string;
  /** What kind of process this is, for those who look at what runs; see ProcessFacts. */
  kind?: string | undefined;
  version?: string | undefined;
  onAttempt?: RuntimeParts['onAttempt'];
}

export interface RunningWorkers {
  readonly queues: readonly QueueName[];
  /** Jobs that are being run here now. */
  active(): number;
  /**
   * Takes no more jobs and waits for those that run. Those that have not ended by the deadline go back to the
   * queue.
   */
  close(deadlineMs: number): Promise<void>;
}

/** Starts workers for `queues`. Throws what `link.ready()` throws. */
export async function startWorkers(parts: WorkerParts): Promise<RunningWorkers> {
  const { link, log, engine, clock, ports, settings } = parts;
  const clocks = parts.clocks ?? defaultRescueClocks;
  await link.ready();
  const places: Partial<Record<QueueName, number>> = Object.fromEntries(
    parts.queues.map((name) => [name, parts.concurrency?.[name] ?? defaultPlaces[name]]),
  );
  const running = new Map<string, RunningAttempt>();
  const childQueues = new Map<QueueName, Queue>();

  function childQueue(definition: ChildDefinition): Queue {
    if (engine) return engine.queues.get(definition.queue);
    let queue = childQueues.get(definition.queue);
    if (!queue) {
      queue = new Queue(definition.queue, {
        connection: link.options('producer'),
        prefix: link.prefix,
        ...telemetry(link),
      });
      childQueues.set(definition.queue, queue);
    }
    return queue;
  }

  function start(name: QueueName): Worker {
    const worker = new Worker(
      name,
      async (job, token = '') => {
        const definition = parts.registry.any(job.name);
        if (!definition) throw new UnrecoverableError(`unknown job type ${job.name}`);
        if (definition.kind === 'child')
          return runChild(definition, job, token, { ports, running, clock, log });
        if (!engine) throw new Error(`${job.name} needs the database, which this worker does not have`);
        const { onAttempt } = parts;
        const runtime = { ports, settings, workerName: parts.name, childQueue, running, onAttempt };
        return runJob(definition, job, token, engine, runtime);
      },
      {
        connection: link.options('worker'),
        prefix: link.prefix,
        name: parts.name,
        concurrency: places[name] ?? 1,
        ...telemetry(link),
        lockDuration: clocks.lockMs,
        stalledInterval: clocks.stalledMs,
        maxStalledCount: 10,
        maxStartedAttempts: 60,
      },
    );
    worker.on('error', (error) => log.debug({ err: error, queue: name }, 'Worker connection error'));
    // BullMQ tells of a lost lock by this event alone; the signal it passes to processors is not aborted by it.
    worker.on('lockRenewalFailed', (ids) => {
      for (const id of ids) running.get(id)?.stop('lost lock');
    });
    worker.on('stalled', (id) =>
      log.warn({ job: id, queue: name }, 'Its worker went away; the job is taken over'),
    );
    return worker;
  }

  // Before the first job, so that its progress reaches whoever waits for it.
  await engine?.signals.ready();
  const offSignals = engine?.signals.on('*', (signal) => {
    if (signal.kind === 'cancel') running.get(signal.id)?.stop('cancel');
  });
  const workers = parts.queues.map(start);
  await Promise.all(workers.map((worker) => worker.waitUntilReady()));

  // The signal may be lost; the flag in the row is not.
  const cancelPoll = setInterval(() => {
    try {
      for (const [id, attempt] of running)
        if (engine?.storage.read.isCancelRequested(id)) attempt.stop('cancel');
    } catch (error) {
      log.warn({ err: error }, 'Could not look for cancelled jobs');
    }
  }, 1000).unref();
  const { kind = 'library', version = '' } = parts;
  const heartbeat = engine && (await startHeartbeat(engine.storage, clock, log, { kind, version, places }));
  engine?.relay.start(clocks.relay);

  return {
    queues: parts.queues,
    active: () => running.size,
    async close(deadlineMs) {
      clearInterval(cancelPoll);
      const drained = Promise.allSettled(workers.map((worker) => worker.close()));
      const outcome = await Promise.race([drained.then(() => 'drained' as const), wait(deadlineMs)]);
      if (outcome !== 'drained') {
        log.warn({ active: running.size }, 'Jobs that have not ended go back to the queue');
        for (const attempt of running.values()) attempt.stop('shutdown');
        await Promise.race([drained, wait(4000)]);
        // close() never ends by itself once Redis has gone.
        await Promise.race([Promise.allSettled(workers.map((worker) => worker.close(true))), wait(1000)]);
      }
      offSignals?.();
      await heartbeat?.stop();
      await Promise.allSettled([...childQueues.values()].map((queue) => queue.close()));
    },
  };
}

function wait(ms: number): Promise<'late'> {
  return delay(ms, 'late' as const, { ref: false });
}

/** Parses a list such as `render,mail`. Throws USAGE. */
export function parseQueueNames(text: string, known: readonly QueueName[]): QueueName[] {
  const names = text.split(',').map((name) => name.trim());
  for (const name of names) {
    if (!known.includes(name as QueueName)) {
      throw new DomainError('USAGE', `There is no queue "${name}".`, {
        hint: `Known are: ${known.join(', ')}.`,
      });
    }
  }
  return names as QueueName[];
}
