import { z } from 'zod';
import { measurementSchema, unmeasured } from '../domain/check/check.ts';
import { plannedCheckSchema } from '../domain/check/plan.ts';
import { deviceMetadataSchema, deviceTypes } from '../domain/device.ts';
import { type BaseContext, defineChild } from './engine/define.ts';

const target = z.object({
  id: z.string(),
  name: z.string(),
  type: z.enum(deviceTypes),
  rmmDeviceId: z.string().nullable(),
  metadata: deviceMetadataSchema,
});

const trend = z.array(z.tuple([z.number(), z.number()]).readonly()).readonly();

const payload = z.object({
  devices: z
    .array(
      z.object({
        device: target,
        /** Absent: the common ones. */
        checks: z.array(plannedCheckSchema).optional(),
        trends: z.record(z.string(), z.record(z.string(), trend)).optional(),
      }),
    )
    .min(1),
  /** What is checked on the devices that name nothing of their own. */
  common: z.array(plannedCheckSchema),
  /** How long the others of the batch wait for a device, in ms; those that take longer are named and left. */
  patienceMs: z.number(),
});

export type ProbePayload = z.infer<typeof payload>;

const result = z.object({
  answers: z.array(z.object({ deviceId: z.string(), measurements: z.array(measurementSchema) })),
  late: z.array(z.string()),
});
export type ProbeResult = z.infer<typeof result>;

/** How long a device may take that the others of its batch did not wait for, in ms. */
export const longPatienceMs = 100_000;

/** Measures a batch of devices, all at once. One that is slow keeps the others waiting for no longer than agreed. */
export const healthProbe = defineChild(
  { type: 'health.probe', queue: 'probe', payload, result, attempts: 3, backoffMs: 500, timeoutMs: 110_000 },
  measureDevices,
);

async function measureDevices(context: BaseContext, batch: ProbePayload): Promise<ProbeResult> {
  const late: string[] = [];
  const answers = await Promise.all(
    batch.devices.map(async ({ device, checks = batch.common, trends = {} }) => {
      const limit = new AbortController();
      const timer = setTimeout(() => limit.abort(new Error('too slow')), batch.patienceMs);
      const signal = AbortSignal.any([context.signal, limit.signal]);
      try {
        const measurements = await context.ports.prober.measure(device, { checks, trends }, signal);
        return [{ deviceId: device.id, measurements }];
      } catch (error) {
        context.signal.throwIfAborted();
        if (limit.signal.aborted) {
          late.push(device.id);
          return [];
        }
        const reason = error instanceof Error ? error.message : String(error);
        const at = context.clock.now().toISOString();
        const names = [...new Set(checks.map(({ check }) => check))];
        return [{ deviceId: device.id, measurements: names.map((check) => unmeasured(check, reason, at)) }];
      } finally {
        clearTimeout(timer);
      }
    }),
  );
  return { answers: answers.flat(), late };
}
