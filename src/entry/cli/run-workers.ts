import { once } from 'node:events';
import type { QueueName } from '../../jobs/engine/define.ts';
import { toDomainError } from '../../domain/errors.ts';
import type { CommandContext } from './context.ts';

/** How long jobs may go on after SIGTERM before they go back to the queue, in ms. */
const drainMs = 20_000;

async function untilStopped(context: CommandContext): Promise<void> {
  if (!context.signal.aborted) {
    // The open Redis connections keep the process alive meanwhile.
    await once(context.signal, 'abort');
  }
  context.output.note('Stopping: no more jobs are taken. A second signal stops at once.');
}

/** A worker that has no database of its own: it measures, and answers through Redis. */
export async function probeAlone(context: CommandContext, concurrency: number | undefined): Promise<void> {
  const [
    { loadConfig },
    { openHome },
    { openPorts, settingsOf },
    { openRedisLink },
    { startWorkers },
    { redisSettings },
    clock,
    { registry },
  ] = await Promise.all([
    import('../config.ts'),
    import('../home.ts'),
    import('../ports.ts'),
    import('../../jobs/engine/redis-link.ts'),
    import('../../workers/worker.ts'),
    import('../redis-settings.ts'),
    import('../../domain/clock.ts'),
    import('../../jobs/registry.ts'),
  ]);
  const { environment, options } = context;
  const home = openHome(environment);
  const { config } = await loadConfig({ home, cwd: process.cwd(), environment, file: options.config });
  const log = await context.log('info');
  const link = openRedisLink(redisSettings(config, home, environment, ''), log);
  const outside = openPorts({ home, config, environment, clock: clock.systemClock, log }, undefined);
  const workers = await startWorkers({
    link,
    registry,
    clock: clock.systemClock,
    log,
    ports: outside.ports,
    settings: settingsOf(config),
    queues: ['probe'],
    concurrency: concurrency ? { probe: concurrency } : undefined,
    name: `${(await import('node:os')).hostname()}:${process.pid}`,
  });
  context.output.note('Running the queue probe, without a database.');
  await untilStopped(context);
  await workers.close(drainMs);
  await outside.close();
  await link.close();
}

/** Runs `queues` until Ctrl-C or SIGTERM; without any it runs all of them, and the schedules. */
export async function runWorkers(
  context: CommandContext,
  queues: QueueName[] | undefined,
  concurrency: number | undefined,
): Promise<void> {
  const toolkit = await context.toolkit({ level: 'info', kind: queues ? 'worker' : 'serve' });
  const { storage, log, config, home } = toolkit.parts;
  const { serviceNotices } = await import('../systemd.ts');
  // A database that takes no writes leaves every job undone, and a new start may mend it.
  const service = serviceNotices(context.environment, log, () =>
    storage.write((tx) => tx.putSetting('last-watchdog', new Date().toISOString())),
  );
  const { createMetrics, serveMetrics } = await import('../metrics.ts');
  const metrics = config.metrics.port === undefined ? undefined : await createMetrics(toolkit);
  // Several processes may share one configuration; the first has the port, and none stops for want of it.
  const served = metrics
    ? await serveMetrics(metrics, config.metrics.port ?? 0).catch((error: unknown) => {
        const { message, hint } = toDomainError(error);
        log.warn({ err: error }, message);
        context.output.note(`${message} ${hint ?? ''}`);
        return undefined;
      })
    : undefined;
  const workers = await toolkit.startWorkers({
    ...(queues ? { queues } : {}),
    concurrency: concurrency
      ? Object.fromEntries((queues ?? []).map((name) => [name, concurrency]))
      : undefined,
    onAttempt(type, outcome, ms) {
      metrics?.attempt(type, outcome, ms);
      log.info({ type, outcome, ms: Math.round(ms) }, 'A job was run');
    },
  });
  if (!queues) await toolkit.startScheduler({ onLag: (ms) => metrics?.lag(ms) });
  const engine = await toolkit.parts.engine();
  log.info({ queues: workers.queues, redis: engine.link.address, home }, 'Workers are ready');
  context.output.note(`Running the queues ${workers.queues.join(', ')}. Ctrl-C stops.`);
  if (served) context.output.note(`Metrics are on http://127.0.0.1:${served.port}/metrics.`);
  await service.ready(`running ${workers.queues.join(', ')}`);
  await untilStopped(context);
  await service.stopping();
  await toolkit.close(drainMs);
  await served?.close();
}
