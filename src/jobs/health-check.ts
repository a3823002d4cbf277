import { z } from 'zod';
import {
  checkNames,
  type CheckName,
  type CheckResult,
  checkResultSchema,
  evaluate,
  statuses,
  summarize,
  summarySchema,
  unmeasured,
  worst,
} from '../domain/check.ts';
import { clientIdSchema, clientNotFound } from '../domain/client.ts';
import { probeTargets } from '../domain/device.ts';
import type { ProbeTarget } from '../domain/ports.ts';
import type { Statements } from '../domain/storage/statements.ts';
import { defineJob, type JobContext, type Outcome } from './engine/define.ts';
import { healthProbe, type ProbePayload } from './health-probe.ts';

const payload = z.strictObject({
  clientId: clientIdSchema,
  checks: z
    .array(z.enum(checkNames))
    .min(1)
    .default([...checkNames]),
});

const result = z.object({
  clientId: z.string(),
  status: z.enum(statuses),
  summary: summarySchema,
  results: z.array(checkResultSchema),
});
export type HealthCheckResult = z.infer<typeof result>;

/** Measures every device of a client, judges the values and records all of them at once. */
export const healthCheck = defineJob(
  {
    type: 'health.check',
    queue: 'general',
    payload,
    result,
    attempts: 5,
    backoffMs: 1000,
    timeoutMs: 120_000,
  },
  checkClient,
);

async function checkClient(
  context: JobContext,
  wish: z.infer<typeof payload>,
): Promise<Outcome<HealthCheckResult>> {
  if (!context.storage.read.clientExists(wish.clientId)) throw clientNotFound(wish.clientId);
  const devices = probeTargets(context.storage, wish.clientId);
  context.progress(10, `measuring ${devices.length} device${devices.length === 1 ? '' : 's'}`);
  const results = await measureAll(context, wish.clientId, devices, wish.checks);
  context.progress(90, 'recording the results');
  context.log.info({}, `${results.length} results of ${devices.length} devices`);
  const statusesFound = results.map((r) => r.status);
  return {
    result: {
      clientId: wish.clientId,
      status: worst(statusesFound),
      summary: summarize(statusesFound),
      results,
    },
    record: (tx) => recordResults(tx, context, results),
  };
}

/** Fans the devices out in batches and judges what comes back. A batch that failed leaves its devices `unknown`. */
export async function measureAll(
  context: JobContext,
  clientId: string,
  devices: ProbeTarget[],
  checks: readonly CheckName[],
): Promise<CheckResult[]> {
  const { probeBatch, networkTargets, thresholds } = context.settings;
  const batches: ProbePayload[] = [];
  for (let i = 0; i < devices.length; i += probeBatch) {
    const batch = devices.slice(i, i + probeBatch);
    batches.push({ devices: batch, checks: [...checks], networkTargets: [...networkTargets] });
  }
  const outcomes = await context.children(healthProbe, batches);
  const at = context.clock.now().toISOString();
  return outcomes.flatMap((outcome, index) => {
    const answers =
      outcome.result ??
      (batches[index]?.devices ?? []).map((device) => ({
        deviceId: device.id,
        measurements: checks.map((check) =>
          unmeasured(check, `the probe failed: ${outcome.error ?? 'no reason known'}`, at),
        ),
      }));
    return answers.flatMap(({ deviceId, measurements }) =>
      measurements.map((measurement) => ({
        clientId,
        deviceId,
        check: measurement.check,
        instance: measurement.instance || null,
        ...evaluate(measurement, thresholds),
        message: measurement.message,
        value: measurement.value,
        unit: measurement.unit,
        at: measurement.at,
      })),
    );
  });
}

/** Writes the results; those of a device that was removed meanwhile are dropped. */
export function recordResults(tx: Statements, context: JobContext, results: readonly CheckResult[]): void {
  for (const [deviceId, all] of Map.groupBy(results, (r) => r.deviceId)) {
    const seen = all.findLast((r) => r.status !== 'unknown')?.at ?? null;
    if (!tx.setDeviceSeen(deviceId, seen)) continue;
    for (const r of all) tx.putCheckResult(context.job.id, context.job.attempt, r);
  }
}
