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
import { clientIdSchema, getClient } from '../domain/client.ts';
import { type Device, listDevices } from '../domain/device.ts';
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
  await getClient(context.storage, wish.clientId);
  const devices = await listDevices(context.storage, { clientId: wish.clientId });
  context.progress(10, `measuring ${devices.length} device${devices.length === 1 ? '' : 's'}`);
  const results = await measureAll(context, devices, wish.checks);
  context.progress(90, 'recording the results');
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
  devices: readonly Device[],
  checks: readonly CheckName[],
): Promise<CheckResult[]> {
  const { probeBatch, networkTargets, thresholds } = context.settings;
  const batches: ProbePayload[] = [];
  for (let i = 0; i < devices.length; i += probeBatch) {
    const targets = devices.slice(i, i + probeBatch).map(({ id, name, type, rmmDeviceId, metadata }) => ({
      id,
      name,
      type,
      rmmDeviceId,
      metadata,
    }));
    batches.push({ devices: targets, checks: [...checks], networkTargets: [...networkTargets] });
  }
  const outcomes = await context.children(healthProbe, batches);
  const at = context.clock.now().toISOString();
  const clientOf = new Map(devices.map((device) => [device.id, device.clientId]));
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
        clientId: clientOf.get(deviceId) ?? '',
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
  const exists = new Map<string, boolean>();
  for (const r of results) {
    let known = exists.get(r.deviceId);
    if (known === undefined) {
      known = tx.deviceExists(r.deviceId);
      exists.set(r.deviceId, known);
    }
    if (!known) continue;
    tx.putCheckResult(context.job.id, context.job.attempt, r);
    if (r.status !== 'unknown') tx.setDeviceSeen(r.deviceId, r.at);
  }
}
