import { z } from 'zod';
import { defineCheck, type Finding, type MeasureContext } from '../../domain/check/check-type.ts';
import { echo, echoMs } from './echo.ts';
import { addressOf, allowedAddress, ForbiddenAddress, hostSchema, reasonOf } from './probe.ts';

/** What became of echo requests to a host. */
export async function pingFinding(
  instance: string,
  host: string,
  count: number,
  replySeconds: number,
  around: MeasureContext,
): Promise<Finding> {
  const { signal } = around;
  try {
    const address = await allowedAddress(host, around);
    const { sent, loss, latency } = await echo(address, count, replySeconds, signal);
    const values = [
      { name: 'latency', value: latency, unit: 'ms' },
      { name: 'loss', value: loss, unit: '%' },
    ];
    if (loss >= 100)
      return {
        instance,
        status: 'critical',
        message: `${host} did not answer any of ${sent} requests`,
        values,
      };
    return {
      instance,
      status: 'healthy',
      message: `${host} answered in ${latency ?? '?'} ms, ${loss} % of ${sent} lost`,
      values,
    };
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof ForbiddenAddress) return { instance, status: 'unknown', message: error.message };
    return { instance, status: 'unknown', message: `${host} could not be pinged: ${reasonOf(error)}` };
  }
}

/** Whether a host answers echo requests, how fast, and how many get lost. */
export const ping = defineCheck({
  name: 'ping',
  about: 'Echo requests: latency and loss',
  runs: 'anywhere',
  settings: z.strictObject({
    host: hostSchema.optional().describe("Default: the device's address."),
    count: z.int().min(1).max(20).default(4),
    replySeconds: z.number().min(0.2).max(10).default(2).describe('How long to wait for an answer.'),
  }),
  values: {
    latency: { unit: 'ms', about: 'Mean time to an answer', warning: 200, critical: 1000 },
    loss: { unit: '%', about: 'Requests without an answer', warning: 20, critical: 60 },
  },
  timeoutMs: ({ count, replySeconds }) => echoMs(count, replySeconds),
  async measure(device, { host = addressOf(device), count, replySeconds }, around) {
    const instance = host === addressOf(device) ? '' : host;
    return [await pingFinding(instance, host, count, replySeconds, around)];
  },
});
