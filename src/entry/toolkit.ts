import { hostname } from 'node:os';
import { join } from 'node:path';
import type { z } from 'zod';
import type { Actor } from '../domain/audit.ts';
import {
  addClient,
  type Client,
  type ClientChanges,
  type ClientInput,
  getClient,
  listClients,
  removeClient,
  updateClient,
} from '../domain/client.ts';
import type { ThresholdLevel } from '../domain/check/thresholds.ts';
import { type Clock, systemClock } from '../domain/clock.ts';
import {
  addDevice,
  type Device,
  type DeviceChanges,
  type DeviceInput,
  deviceMetadataSchema,
  getDevice,
  listDevices,
  removeDevice,
  updateDevice,
} from '../domain/device.ts';
import { DomainError, parseWith } from '../domain/errors.ts';
import type { AttemptOutcome, Job, JobAttempt, JobLog, JobStep } from '../domain/job.ts';
import { type Log, silentLog } from '../domain/log.ts';
import type { WorkerProcess } from '../domain/process.ts';
import { scheduleInputSchema } from '../domain/schedule.ts';
import type {
  Preview,
  Schedule,
  ScheduleChanges,
  ScheduleInput,
  ScheduleWish,
  Slot,
  SlotOutcome,
} from '../domain/schedule.ts';
import {
  type Delivery,
  getReport,
  listDeliveries,
  listReports,
  type Report,
  type ReportFormat,
} from '../domain/report.ts';
import { openStorage, type Storage } from '../domain/storage/storage.ts';
import { type JobDefinition, type QueueName, requireJobType } from '../jobs/engine/define.ts';
import type { Engine, RetryFilter, SubmitOptions, WaitOptions } from '../jobs/engine/engine.ts';
import type { RunningScheduler, SchedulerClocks } from '../scheduler/scheduler.ts';
import type { Schedules } from '../scheduler/schedules.ts';
import type { RescueClocks, RunningWorkers } from '../workers/worker.ts';
import { catalogue } from '../workers/probes/index.ts';
import { type ConfigInput, loadConfig, parseConfig } from './config.ts';
import type { Alerts, Maintenance } from './facade/alerts.ts';
import type { Health } from './facade/health.ts';
import { openHome } from './home.ts';
import { packageVersion } from './package-info.ts';
import type { openPorts, Surroundings } from './ports.ts';
import type { Tracing } from './telemetry.ts';
import { redisSettings } from './redis-settings.ts';

export interface ToolkitOptions {
  /** The folder that holds all state. Default: MSP_HOME, or the platform's data folder. */
  home?: string;
  /** Settings as in the configuration file, or the path of one. Default: the usual places. */
  config?: ConfigInput | string;
  /** Who asks, for the audit trail. Default: `library`. */
  actor?: string;
  environment?: Record<string, string | undefined>;
  log?: Log;
  clock?: Clock;
  clocks?: RescueClocks;
  /** What the process is, for those who look at what runs: `serve`, `worker`. Default: `library`. */
  kind?: string;
}

/** A job that has been accepted. */
export interface Started<R> {
  job: Job;
  /**
   * Waits for the end and answers with the result; throws the job's own error if it failed. Where no worker runs,
   * one is brought up in this process until the toolkit is closed.
   */
  result(options?: WaitOptions): Promise<R>;
  /** Waits like `result`, and answers with the job however it ended. */
  done(options?: WaitOptions): Promise<Job>;
}

/** Asks for a job on behalf of whoever opened the toolkit. */
export type Start = <P extends z.ZodType, R extends z.ZodType>(
  definition: JobDefinition<P, R>,
  payload: z.input<P>,
  options?: Partial<SubmitOptions>,
) => Promise<Started<z.infer<R>>>;

export interface OnboardResult {
  clientId: string;
  template: string;
  steps: JobStep[];
}

export interface ReportResult {
  report: Report;
  /** The job that mails the report, if an address was given. */
  sendJobId: string | null;
}

/** What workers of this process take on. */
export interface WorkerOptions {
  /** Default: all. */
  queues?: readonly QueueName[];
  /** Jobs at a time, by queue. */
  concurrency?: Partial<Record<QueueName, number>> | undefined;
  /** Told of each attempt of a job that ended here. */
  onAttempt?: ((type: string, outcome: AttemptOutcome, ms: number) => void) | undefined;
}

/** MSP Toolkit for programs: what the command line and the MCP server are built on. */
export interface Toolkit {
  readonly clients: {
    list(filter?: { status?: Client['status']; tier?: Client['tier'] }): Promise<Client[]>;
    add(input: ClientInput): Promise<Client>;
    get(id: string): Promise<Client>;
    update(id: string, changes: ClientChanges): Promise<Client>;
    remove(id: string): Promise<Client>;
    /** What would go with a client. */
    footprint(id: string): Promise<{ devices: number; checks: number; reports: number; deliveries: number }>;
    onboard(id: string, template: string): Promise<Started<OnboardResult>>;
    /** What a template would do, without doing it. */
    onboardingSteps(template: string): Promise<{ name: string; action: string }[]>;
  };
  readonly devices: {
    list(filter?: { clientId?: string }): Promise<Device[]>;
    add(input: DeviceInput): Promise<Device>;
    get(id: string): Promise<Device>;
    update(id: string, changes: DeviceChanges): Promise<Device>;
    remove(id: string): Promise<Device>;
  };
  readonly health: Health;
  readonly alerts: Alerts;
  readonly maintenance: Maintenance;
  readonly reports: {
    generate(input: {
      clientId: string;
      template?: string;
      format?: ReportFormat;
      period?: string;
      email?: string;
    }): Promise<Started<ReportResult>>;
    list(filter?: { clientId?: string; limit?: number }): Promise<Report[]>;
    get(id: string): Promise<Report & { deliveries: Delivery[] }>;
    send(id: string, recipient: string): Promise<Started<Delivery>>;
    /** Names of the report templates there are. */
    templates(): Promise<string[]>;
  };
  readonly jobs: {
    list(filter?: { state?: string; type?: string; clientId?: string; limit?: number }): Promise<Job[]>;
    get(id: string): Promise<Job & { steps: JobStep[]; history: JobAttempt[] }>;
    /** Starts a job of any registered type. Throws JOB_TYPE_UNKNOWN or PAYLOAD_INVALID. */
    start(type: string, payload: unknown): Promise<Started<unknown>>;
    /** The job types there are. */
    types(): Promise<{ type: string; payload: z.ZodType; result: z.ZodType }[]>;
    /** Retries every failed, cancelled or dead job that the filter names, and answers with them. */
    retryAll(filter: RetryFilter): Promise<Job[]>;
    /** Waits for a job that was started earlier or elsewhere. */
    wait(id: string, options?: WaitOptions): Promise<Job>;
    cancel(id: string): Promise<Job>;
    retry(id: string): Promise<Job>;
    logs(id: string, after?: number): Promise<(JobLog & { id: number })[]>;
  };
  readonly schedules: {
    list(): Promise<Schedule[]>;
    /** By name or id. */
    get(name: string): Promise<Schedule>;
    /** What became of the newest slots, newest first, and of all in numbers. */
    history(name: string, limit?: number): Promise<{ slots: Slot[]; totals: Record<SlotOutcome, number> }>;
    add(input: ScheduleInput): Promise<Schedule>;
    update(name: string, changes: ScheduleChanges): Promise<Schedule>;
    remove(name: string): Promise<Schedule>;
    pause(name: string): Promise<Schedule>;
    resume(name: string): Promise<Schedule>;
    /** The coming runs, with the changes of the clocks between them. */
    next(name: string, count?: number): Promise<Preview[]>;
    /** Does its work once, now, apart from its slots. */
    run(name: string): Promise<Started<unknown>>;
  };
  /** The processes that run workers on this database, those that went without a word included. */
  processes(): Promise<WorkerProcess[]>;
  /** Runs the schedules in this process until the toolkit is closed, and makes those of the configuration stand. */
  startScheduler(options?: {
    clocks?: SchedulerClocks;
    onLag?: (ms: number) => void;
  }): Promise<RunningScheduler>;
  /** Starts workers in this process and keeps them until the toolkit is closed. */
  startWorkers(options?: WorkerOptions): Promise<RunningWorkers>;
  /** The parts it is made of, for doors that need more than the above. */
  readonly parts: Surroundings & {
    storage: Storage;
    engine(): Promise<Engine>;
    configFile: string | undefined;
  };
  /** Ends what this process started. Jobs that run here get `deadlineMs` to end; then they go back to the queue. */
  close(deadlineMs?: number): Promise<void>;
}

interface RemovedAlertsOf {
  clientId: string;
  deviceId: string | null;
}

/** What has to be done again and again for the product itself. */
const builtInSchedules: readonly ScheduleWish[] = [
  scheduleInputSchema.parse({ name: 'history-rollup', cron: '*/10 * * * *', jobType: 'history.rollup' }),
];

/** A facade whose code is loaded at the first call: a command that only reads a list has no need of it. */
function lazily<T extends object>(open: () => Promise<T>): T {
  let opened: Promise<T> | undefined;
  return new Proxy({} as T, {
    get: (_, name) =>
      name === 'then'
        ? undefined
        : async (...args: unknown[]) => {
            const facade = await (opened ??= open());
            return (facade as Record<PropertyKey, (...all: unknown[]) => unknown>)[name]?.(...args);
          },
  });
}

/** Opens the toolkit on its home. Throws HOME_UNUSABLE, CONFIG_INVALID, DATABASE_NEWER or DATABASE_UNUSABLE. */
export async function openToolkit(options: ToolkitOptions = {}): Promise<Toolkit> {
  const environment = options.environment ?? process.env;
  const home = openHome(options.home ? { MSP_HOME: options.home } : environment);
  const loaded =
    typeof options.config === 'object'
      ? { config: parseConfig(options.config, environment), file: undefined }
      : await loadConfig({ home, cwd: process.cwd(), environment, file: options.config });
  const { config } = loaded;
  const clock = options.clock ?? systemClock;
  const log = options.log ?? silentLog;
  const around: Surroundings = { home, config, environment, clock, log };
  const who: Actor = { actor: options.actor ?? 'library', clock };
  const storage = await openStorage(config.database.path ?? join(home, 'toolkit.db'));

  let opening: Promise<Engine> | undefined;
  let tracing: Tracing | undefined;
  // Queue, browser and mail are loaded only by commands that need them.
  const engine = () =>
    (opening ??= Promise.all([import('../jobs/engine/engine.ts'), import('../jobs/registry.ts')]).then(
      async ([{ openEngine }, { registry }]) => {
        if (config.telemetry.otlpUrl) {
          tracing = await (await import('./telemetry.ts')).openTracing(config.telemetry.otlpUrl);
        }
        const redis = {
          ...redisSettings(config, home, environment, storage.installationId),
          telemetry: tracing?.telemetry,
        };
        return openEngine({ storage, redis, registry, clock, log, limits: config.jobs.limits });
      },
    ));

  const workers: RunningWorkers[] = [];
  let outside: ReturnType<typeof openPorts> | undefined;
  const submitted: SubmitOptions = { requestedBy: who.actor };

  async function startWorkers({
    queues,
    concurrency,
    onAttempt,
  }: WorkerOptions = {}): Promise<RunningWorkers> {
    const [{ startWorkers: start }, { queueNames }, running] = await Promise.all([
      import('../workers/worker.ts'),
      import('../jobs/engine/define.ts'),
      engine(),
    ]);
    const { openPorts, settingsOf } = await import('./ports.ts');
    outside ??= openPorts(around, storage);
    const started = await start({
      link: running.link,
      registry: running.registry,
      clock,
      log,
      engine: running,
      ports: outside.ports,
      settings: settingsOf(config),
      queues: queues ?? queueNames,
      concurrency,
      clocks: options.clocks,
      name: `${hostname()}:${process.pid}`,
      kind: options.kind,
      version: packageVersion(),
      onAttempt,
    });
    const kept: RunningWorkers = {
      ...started,
      async close(deadlineMs) {
        workers.splice(workers.indexOf(kept), 1);
        await started.close(deadlineMs);
      },
    };
    workers.push(kept);
    return kept;
  }

  let filling: Promise<void> | undefined;
  let waiters = 0;
  let watch: NodeJS.Timeout | undefined;

  /** Brings up a worker here for each queue that nobody serves; however many ask for it, once at a time. */
  function fillIn(): Promise<void> {
    filling ??= fill().finally(() => {
      filling = undefined;
    });
    return filling;
  }

  async function fill(): Promise<void> {
    const running = await engine();
    await running.link.ready();
    const counts = await running.queues.workers();
    const missing = (Object.keys(counts) as QueueName[]).filter(
      (name) => counts[name] === 0 && !workers.some((w) => w.queues.includes(name)),
    );
    if (missing.length > 0) await startWorkers({ queues: missing });
  }

  async function wait(id: string, waiting: WaitOptions = {}): Promise<Job> {
    const running = await engine();
    const { isFinal } = await import('../domain/job.ts');
    const now = running.get(id);
    if (isFinal(now.state)) return now;
    // Redis may be away for a moment while the row stays; then the next look brings up what is missing.
    await fillIn().catch((error: unknown) => log.warn({ err: error }, 'Waiting without Redis for now'));
    // The worker we counted on may go away while we wait.
    waiters += 1;
    watch ??= setInterval(() => {
      fillIn().catch((error: unknown) => log.debug({ err: error }, 'Could not look for workers'));
    }, 2000);
    try {
      return await running.wait(id, waiting);
    } finally {
      waiters -= 1;
      if (waiters === 0) {
        clearInterval(watch);
        watch = undefined;
      }
    }
  }

  async function start<P extends z.ZodType, R extends z.ZodType>(
    definition: JobDefinition<P, R>,
    payload: z.input<P>,
    options: Partial<SubmitOptions> = {},
  ): Promise<Started<z.infer<R>>> {
    const { resultOf } = await import('../jobs/engine/engine.ts');
    const job = await (await engine()).submit(definition, payload, { ...submitted, ...options });
    const done = (waiting?: WaitOptions) => wait(job.id, waiting);
    return { job, done, result: async (waiting) => resultOf(definition, await done(waiting)) };
  }

  let schedulesOpening: Promise<Schedules> | undefined;
  const schedules = () =>
    (schedulesOpening ??= Promise.all([import('../scheduler/schedules.ts'), engine()])
      .then(async ([{ openSchedules }, running]) => {
        const opened = openSchedules(running, who.actor);
        // Another process may have another configuration, or none; only serve takes away what is not in its own.
        await opened.follow(config.schedules, 'add');
        return opened;
      })
      .catch((error: unknown) => {
        // A database that was busy for once must not keep a long-lived process from asking again.
        schedulesOpening = undefined;
        throw error;
      }));
  const schedulers: RunningScheduler[] = [];

  async function startScheduler(
    clocks: { clocks?: SchedulerClocks; onLag?: (ms: number) => void } = {},
  ): Promise<RunningScheduler> {
    const { startScheduler: begin } = await import('../scheduler/scheduler.ts');
    const running = await engine();
    await running.link.ready();
    // Without a configuration nothing says that those it once named are to go.
    const configured = loaded.file !== undefined || typeof options.config === 'object';
    await (await schedules()).follow(config.schedules, configured ? 'replace' : 'add');
    await (await schedules()).follow(builtInSchedules, 'replace', 'product');
    const { keepDays, keepFailedDays } = config.jobs;
    const { alertSettings } = await import('./ports.ts');
    const scheduler = begin(running, {
      retention: { keepDays, keepFailedDays, history: config.history },
      alerts: alertSettings(config),
      ...clocks,
    });
    schedulers.push(scheduler);
    return scheduler;
  }

  async function runSchedule(name: string): Promise<Started<unknown>> {
    const { serialKeyOf } = await import('../scheduler/slots.ts');
    const { id, jobType, payload, overlap } = (await schedules()).get(name);
    const definition = requireJobType((await engine()).registry, jobType);
    return start(definition, payload as never, overlap === 'allow' ? {} : { serialKey: serialKeyOf(id) });
  }

  async function onboardingSteps(template: string): Promise<{ name: string; action: string }[]> {
    const [{ readTemplate }, { onboardingTemplates }, { onboardingFolders }] = await Promise.all([
      import('../domain/onboarding.ts'),
      import('../workers/onboarding-templates.ts'),
      import('./ports.ts'),
    ]);
    return (await readTemplate(onboardingTemplates(onboardingFolders(config)), template)).steps;
  }

  /** Refuses what a device says of its checks if it can't be right. Throws VALIDATION or USAGE. */
  async function assertSensible(
    device: Pick<Device, 'id' | 'name' | 'metadata'>,
    clientId: string,
  ): Promise<void> {
    const { checks, thresholds, dependsOn } = parseWith(
      deviceMetadataSchema,
      device.metadata,
      'device metadata',
    );
    const [{ assertDeviceChecks }, { assertThresholds }, { assertDependencies }] = await Promise.all([
      import('../domain/check/plan.ts'),
      import('../domain/check/thresholds.ts'),
      import('../domain/check/dependencies.ts'),
    ]);
    assertDeviceChecks(catalogue, checks, config.healthChecks.settings);
    const client = storage.read.clientBrief(clientId);
    if (client) assertThresholds(catalogue, await levelsOf(client), thresholds);
    if (dependsOn) assertDependencies(await listDevices(storage, { clientId }), device);
  }

  async function assertClient(tier: Client['tier'], metadata: unknown): Promise<void> {
    if (typeof metadata !== 'object' || metadata === null || !('thresholds' in metadata)) return;
    const { assertThresholds } = await import('../domain/check/thresholds.ts');
    assertThresholds(catalogue, await levelsOf({ id: '', tier, metadata: '{}' }), metadata.thresholds);
  }

  async function levelsOf(client: { id: string; tier: string; metadata: string }): Promise<ThresholdLevel[]> {
    const [{ thresholdLevels }, { monitorSettings }] = await Promise.all([
      import('../domain/check/monitoring.ts'),
      import('./ports.ts'),
    ]);
    return thresholdLevels(monitorSettings(config), client);
  }

  /** Removes something, and tells whoever knew of its alerts that they are over: they go with it. */
  async function withAlerts<T>(
    what: () => RemovedAlertsOf | Promise<RemovedAlertsOf>,
    remove: () => Promise<T>,
  ): Promise<T> {
    const names = config.alerts.channels.map(({ name }) => name);
    const of = names.length > 0 ? await what() : undefined;
    const open = of ? storage.read.openAlertsAt(of.clientId, of.deviceId) : [];
    if (open.length === 0) return remove();
    const [{ alertNotify }, { toAlert }] = await Promise.all([
      import('../jobs/alert-notify.ts'),
      import('../domain/alert/alert.ts'),
    ]);
    const now = clock.now().toISOString();
    const told = names.map((channel) => ({
      channel,
      removed: open
        .filter((row) => storage.read.knowsOfAlert(row.id, channel))
        .map((row) => ({
          alert: { ...toAlert(row), state: 'resolved' as const, resolvedAt: now, resolvedBy: 'removed' },
          clientName: storage.read.clientBrief(row.client_id)?.name ?? row.client_id,
          deviceName: storage.read.deviceName(row.device_id) ?? row.device_id,
        })),
    }));
    const done = await remove();
    const running = await engine();
    await storage.write((tx) => {
      for (const wish of told.filter(({ removed }) => removed.length > 0)) {
        running.insert(tx, alertNotify, wish, { ...submitted, serialKey: `alerts:${wish.channel}` });
      }
    });
    running.relay.kick();
    return done;
  }

  function requireMail(): void {
    if (config.mail.host) return;
    throw new DomainError(
      'MAIL_NOT_CONFIGURED',
      'No mail server is configured, so no report can be mailed.',
      {
        hint: 'Set mail.host and mail.from in the configuration.',
      },
    );
  }

  let closing: Promise<void> | undefined;
  async function close(deadlineMs: number): Promise<void> {
    await Promise.allSettled(schedulers.map((scheduler) => scheduler.close()));
    await Promise.allSettled(workers.slice().map((running) => running.close(deadlineMs)));
    await outside?.close();
    if (opening) await (await opening).close();
    await tracing?.close().catch((error: unknown) => log.warn({ err: error }, 'Traces were not sent'));
    await storage.close();
  }

  return {
    clients: {
      list: (filter) => listClients(storage, filter),
      async add(input) {
        await assertClient(input.tier ?? 'bronze', input.metadata);
        return addClient(storage, who, { timezone: config.general.timezone, ...input });
      },
      get: (id) => getClient(storage, id),
      async update(id, changes) {
        const before = await getClient(storage, id);
        await assertClient(changes.tier ?? before.tier, changes.metadata);
        return updateClient(storage, who, id, changes);
      },
      remove: (id) =>
        withAlerts(
          () => ({ clientId: id, deviceId: null }),
          () => removeClient(storage, who, id),
        ),
      onboardingSteps,
      async footprint(id) {
        await getClient(storage, id);
        return storage.read.footprint(id);
      },
      async onboard(id, template) {
        await getClient(storage, id);
        await onboardingSteps(template);
        const { clientOnboard } = await import('../jobs/client-onboard.ts');
        return start(clientOnboard, { clientId: id, template });
      },
    },
    devices: {
      list: (filter) => listDevices(storage, filter),
      async add(input) {
        await assertSensible({ id: '', name: input.name, metadata: input.metadata ?? {} }, input.clientId);
        return addDevice(storage, who, input);
      },
      get: (id) => getDevice(storage, id),
      async update(id, changes) {
        const before = await getDevice(storage, id);
        await assertSensible({ ...before, ...changes } as Device, before.clientId);
        return updateDevice(storage, who, id, changes);
      },
      remove: (id) =>
        withAlerts(
          async () => ({ clientId: (await getDevice(storage, id)).clientId, deviceId: id }),
          () => removeDevice(storage, who, id),
        ),
    },
    health: lazily(async () =>
      (await import('./facade/health.ts')).openHealth({ storage, clock, config, start }),
    ),
    alerts: lazily(async () => (await import('./facade/alerts.ts')).openAlerts({ storage, who, config })),
    maintenance: lazily(async () => (await import('./facade/alerts.ts')).openMaintenance({ storage, who })),
    reports: {
      async generate(input) {
        const client = await getClient(storage, input.clientId);
        if (input.email) requireMail();
        if (input.period) {
          const { parsePeriod } = await import('../domain/period.ts');
          parsePeriod(input.period, client.timezone, clock.now());
        }
        const { reportGenerate } = await import('../jobs/report-generate.ts');
        return start(reportGenerate, input);
      },
      list: (filter) => listReports(storage, filter),
      get: async (id) => ({
        ...(await getReport(storage, id)),
        deliveries: await listDeliveries(storage, id),
      }),
      async send(id, recipient) {
        const { clientId } = await getReport(storage, id);
        requireMail();
        const { reportSend } = await import('../jobs/report-send.ts');
        return start(reportSend, { reportId: id, recipient, clientId });
      },
      async templates() {
        outside ??= (await import('./ports.ts')).openPorts(around, storage);
        return outside.ports.renderer.templates();
      },
    },
    jobs: {
      list: async (filter) => (await engine()).list(filter),
      async get(id) {
        const running = await engine();
        return { ...running.get(id), steps: running.steps(id), history: running.attempts(id) };
      },
      async start(type, payload) {
        const definition = requireJobType((await engine()).registry, type);
        return start(definition, payload as never);
      },
      async types() {
        const { registry } = await engine();
        return registry.jobTypes().map((type) => requireJobType(registry, type));
      },
      retryAll: async (filter) => (await engine()).retryAll(filter, who.actor),
      wait,
      cancel: async (id) => (await engine()).cancel(id, who.actor),
      retry: async (id) => (await engine()).retry(id, who.actor),
      logs: async (id, after) => (await engine()).logs(id, after),
    },
    schedules: {
      list: async () => (await schedules()).list(),
      get: async (name) => (await schedules()).get(name),
      history: async (name, limit) => (await schedules()).history(name, limit),
      add: async (input) => (await schedules()).add({ timezone: config.general.timezone, ...input }),
      update: async (name, changes) => (await schedules()).update(name, changes),
      remove: async (name) => (await schedules()).remove(name),
      pause: async (name) => (await schedules()).pause(name),
      resume: async (name) => (await schedules()).resume(name),
      next: async (name, count = 10) => (await schedules()).preview(name, count),
      run: runSchedule,
    },
    processes: async () => storage.read.processes(clock.now()),
    startWorkers,
    startScheduler,
    parts: { ...around, storage, engine, configFile: loaded.file },
    close: (deadlineMs = 20_000) => (closing ??= close(deadlineMs)),
  };
}
