import { z } from 'zod';
import {
  checkNameSchema,
  type Measurement,
  type Status,
  statuses,
  summarize,
  addUp,
  summarySchema,
  unmeasured,
  worst,
} from '../domain/check/check.ts';
import { requireCheckType } from '../domain/check/check-type.ts';
import { type DeviceChecks, type PlannedCheck, planChecks } from '../domain/check/plan.ts';
import { type DeviceAnswer, type Recording, recordRun } from '../domain/check/record.ts';
import { monitoringOf } from '../domain/check/monitoring.ts';
import { clientIdSchema, clientNotFound } from '../domain/client.ts';
import { probeTargets } from '../domain/device.ts';
import { trendsOf } from '../domain/history/trends.ts';
import type { ProbeTarget } from '../domain/ports.ts';
import { shortestGapMs } from '../domain/schedule.ts';
import type { Statements } from '../domain/storage/statements.ts';
import { teller } from './alert-notify.ts';
import { defineJob, type JobContext, type Outcome } from './engine/define.ts';
import { longPatienceMs, healthProbe, type ProbePayload } from './health-probe.ts';

const payload = z
  .strictObject({
    clientId: clientIdSchema.optional(),
    all: z.literal(true).optional().describe('Every client that is neither inactive nor suspended.'),
    checks: z.array(checkNameSchema).min(1).optional(),
  })
  .refine(
    ({ clientId, all }) => (clientId === undefined) !== (all === undefined),
    'name one clientId, or all: true',
  );

const summaryShape = { status: z.enum(statuses), summary: summarySchema };

const result = z.object({
  clientId: z.string().nullable(),
  ...summaryShape,
  /** Of a check of all clients: how each stands, or why it could not be checked. */
  clients: z
    .array(z.object({ clientId: z.string(), ...summaryShape, error: z.string().nullable() }))
    .optional(),
});
export type HealthCheckSummary = z.infer<typeof result>;

/**
 * Measures every device of a client, judges the values and makes them count; for all clients by a job for each. The
 * results are in the raw history.
 */
export const healthCheck = defineJob(
  {
    type: 'health.check',
    queue: 'general',
    payload,
    result,
    routine: true,
    attempts: 5,
    backoffMs: 1000,
    timeoutMs: 900_000,
  },
  checkClient,
);

async function checkClient(
  context: JobContext,
  wish: z.infer<typeof payload>,
): Promise<Outcome<HealthCheckSummary>> {
  if (wish.clientId === undefined) return checkAll(context, wish.checks);
  const { statuses: found, record } = await runChecks(context, wish.clientId, wish.checks);
  context.progress(90, 'recording the results');
  const answer: HealthCheckSummary = { clientId: wish.clientId, status: 'unknown', summary: summarize([]) };
  return {
    result: answer,
    record: (tx) => {
      record(tx);
      answer.status = worst(found());
      answer.summary = summarize(found());
    },
  };
}

/** A job for each client, so that none waits for another's devices; one that fails leaves its client unknown. */
async function checkAll(
  context: JobContext,
  checks: readonly string[] | undefined,
): Promise<Outcome<HealthCheckSummary>> {
  const ids = context.storage.read.activeClientIds();
  let done = 0;
  const clients = await Promise.all(
    ids.map(async (clientId) => {
      const nothing = { clientId, status: 'unknown' as const, summary: summarize([]) };
      try {
        const wish = { clientId, ...(checks ? { checks: [...checks] } : {}) };
        const found = await context.run(healthCheck, wish, `client ${clientId}`);
        return { clientId, status: found.status, summary: found.summary, error: null };
      } catch (error) {
        context.signal.throwIfAborted();
        return { ...nothing, error: error instanceof Error ? error.message : String(error) };
      } finally {
        done += 1;
        context.progress(Math.round((done / ids.length) * 100), `${done} of ${ids.length} clients`);
      }
    }),
  );
  const summary = clients.reduce((sum, client) => addUp(sum, client.summary), summarize([]));
  return {
    result: { clientId: null, status: worst(clients.map((c) => c.status)), summary, clients },
  };
}

/** How long the devices of a batch wait for a slow one among them, in ms. */
const patienceMs = 5000;

interface DevicePlan {
  device: ProbeTarget;
  planned: PlannedCheck[];
  /** What can't be measured as it is set. */
  refused: Measurement[];
}

/**
 * Measures the devices of a client in batches. What is there after a moment counts at once; devices that take longer are
 * then measured among themselves, with more patience. A probe that failed leaves its devices `unknown`.
 *
 * @returns `record` makes the rest count; `statuses` are those of all results, once that was called
 */
export async function runChecks(
  context: JobContext,
  clientId: string,
  only?: readonly string[],
): Promise<{ statuses: () => Status[]; record: (tx: Statements) => void; devices: number }> {
  const { storage, settings, ports, clock } = context;
  const client = storage.read.clientBrief(clientId);
  if (!client) throw clientNotFound(clientId);
  for (const name of only ?? []) requireCheckType(ports.catalogue, name);
  const devices = probeTargets(storage, clientId);
  const at = clock.now().toISOString();
  const monitoring = monitoringOf(settings.monitor, ports.catalogue, client);
  const planFor = (own: DeviceChecks | undefined) =>
    planChecks(ports.catalogue, own, monitoring.checks, settings.monitor.checkSettings, only, at);
  // Most devices name no checks of their own, and are all checked alike.
  const common = planFor(undefined);
  const plans = devices.map((device): DevicePlan => {
    const own = device.metadata.checks;
    return { device, ...(own ? planFor(own) : common) };
  });
  context.progress(10, `measuring ${devices.length} device${devices.length === 1 ? '' : 's'}`);
  const trends = trendsOf(storage, ports.catalogue, clientId, plans, clock.now());
  const payloadOf = (plan: DevicePlan) => ({
    device: plan.device,
    ...(plan.planned === common.planned ? {} : { checks: plan.planned }),
    ...trends(plan.device.id),
  });

  const toMeasure = plans.filter((plan) => plan.planned.length > 0);
  const batches = inBatches(toMeasure);
  const first = await measure(
    batches,
    batches.map((batch) => ({ devices: batch.map(payloadOf), common: common.planned, patienceMs })),
  );
  const idle = plans.filter((plan) => plan.planned.length === 0);
  const parts: Status[][] = [];
  const recordPart = (tx: Statements, part: number, answers: Map<string, Measurement[]>) => {
    const measured = plans.filter((plan) => answers.has(plan.device.id));
    parts[part] = recordRun(tx, {
      ...monitoring.recording,
      jobId: context.job.id,
      part,
      clientId,
      answers: [...measured, ...(part === 0 ? idle : [])].map((plan): DeviceAnswer => ({
        device: plan.device,
        measurements: [...plan.refused, ...(answers.get(plan.device.id) ?? [])],
        complete: only === undefined,
      })),
      devices,
      ...holdOf(context),
      now: clock.now(),
      tell: teller(context, clientId),
    });
  };
  const all = { statuses: () => parts.flat(), devices: devices.length };
  if (first.late.length === 0) return { ...all, record: (tx) => recordPart(tx, 0, first.answers) };

  await context.write((tx) => recordPart(tx, 0, first.answers));
  context.progress(50, `waiting for ${first.late.map((plan) => plan.device.name).join(', ')}`);
  const alone = inBatches(first.late);
  const second = await measure(
    alone,
    alone.map((batch) => ({
      devices: batch.map(payloadOf),
      common: common.planned,
      patienceMs: longPatienceMs,
    })),
  );
  for (const plan of second.late) {
    second.answers.set(plan.device.id, unanswered(plan, `no answer within ${longPatienceMs / 1000} s`));
  }
  return { ...all, record: (tx) => recordPart(tx, 1, second.answers) };

  function inBatches(all: readonly DevicePlan[]): DevicePlan[][] {
    const size = settings.probeBatch;
    return Array.from({ length: Math.ceil(all.length / size) }, (_, i) =>
      all.slice(i * size, (i + 1) * size),
    );
  }

  function unanswered(plan: DevicePlan, reason: string): Measurement[] {
    const now = clock.now().toISOString();
    return [...new Set(plan.planned.map((p) => p.check))].map((check) => unmeasured(check, reason, now));
  }

  async function measure(
    groups: DevicePlan[][],
    payloads: ProbePayload[],
  ): Promise<{ answers: Map<string, Measurement[]>; late: DevicePlan[] }> {
    const outcomes = await context.children(healthProbe, payloads);
    const answers = new Map<string, Measurement[]>();
    const late: DevicePlan[] = [];
    for (const [index, { result: found, error }] of outcomes.entries()) {
      for (const plan of groups[index] ?? []) {
        const answer = found?.answers.find((a) => a.deviceId === plan.device.id);
        if (answer) answers.set(plan.device.id, answer.measurements);
        else if (found?.late.includes(plan.device.id)) late.push(plan);
        else answers.set(plan.device.id, unanswered(plan, `the probe failed: ${error ?? 'no reason known'}`));
      }
    }
    return { answers, late };
  }
}

/** How long a result counts: until the next run of the schedule that asked for it ought to have come. */
function holdOf({ storage, settings, job, clock }: JobContext): Pick<Recording, 'holdMs' | 'extends'> {
  const schedule = storage.read.scheduleBehind(job.requestedBy);
  const interval = schedule ? shortestGapMs(schedule, clock.now()) : null;
  return {
    holdMs: Math.max(settings.monitor.holdMs, interval === null ? 0 : interval * 1.5),
    extends: schedule === undefined,
  };
}
