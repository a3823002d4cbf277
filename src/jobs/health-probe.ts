import { z } from 'zod';
import { checkNames, measurementSchema, unmeasured } from '../domain/check.ts';
import { deviceMetadataSchema, deviceTypes } from '../domain/device.ts';
import { type BaseContext, defineChild } from './engine/define.ts';

const target = z.object({
  id: z.string(),
  name: z.string(),
  type: z.enum(deviceTypes),
  rmmDeviceId: z.string().nullable(),
  metadata: deviceMetadataSchema,
});

const payload = z.object({
  devices: z.array(target).min(1),
  checks: z.array(z.enum(checkNames)).min(1),
  networkTargets: z.array(z.string()),
});

export type ProbePayload = z.infer<typeof payload>;

const result = z.array(z.object({ deviceId: z.string(), measurements: z.array(measurementSchema) }));

/** How long one device may take before it is `unknown`, in ms; the others of its batch go on meanwhile. */
const deviceTimeoutMs = 20_000;

/** Measures a batch of devices, all at once. */
export const healthProbe = defineChild(
  { type: 'health.probe', queue: 'probe', payload, result, attempts: 3, backoffMs: 500, timeoutMs: 30_000 },
  measureDevices,
);

async function measureDevices(context: BaseContext, batch: ProbePayload): Promise<z.infer<typeof result>> {
  return Promise.all(
    batch.devices.map(async (device) => {
      const limit = AbortSignal.timeout(deviceTimeoutMs);
      const signal = AbortSignal.any([context.signal, limit]);
      try {
        const measurements = await context.ports.prober.measure(device, batch, signal);
        return { deviceId: device.id, measurements };
      } catch (error) {
        context.signal.throwIfAborted();
        const reason = limit.aborted
          ? `no answer within ${deviceTimeoutMs / 1000} s`
          : error instanceof Error
            ? error.message
            : String(error);
        const at = context.clock.now().toISOString();
        return {
          deviceId: device.id,
          measurements: batch.checks.map((check) => unmeasured(check, reason, at)),
        };
      }
    }),
  );
}
