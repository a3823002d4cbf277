import { once } from 'node:events';
import { z } from 'zod';
import { defineCheck, type Finding, type MeasureContext } from '../../domain/check/check-type.ts';
import { openSocket } from './connect.ts';
import { addressOf, ForbiddenAddress, hostSchema, reasonOf, tenths, timeoutSchema } from './probe.ts';

/** Bytes of a greeting that are looked at. */
const greetingBytes = 4096;

/** Reads until `expected` has come, the other side ends, or more has come than a greeting is long. */
async function greets(socket: NodeJS.ReadableStream, expected: string): Promise<boolean> {
  let heard = '';
  for await (const data of socket) {
    heard += (data as Buffer).toString('latin1');
    if (heard.includes(expected)) return true;
    if (heard.length > greetingBytes) return false;
  }
  return false;
}

/** Whether a port takes connections, how fast, and whether it says what it ought to. */
export async function tcpFinding(
  target: { host: string; port: number; expect?: string | undefined; timeoutSeconds: number },
  around: MeasureContext,
): Promise<Finding> {
  const { host, port, expect, timeoutSeconds } = target;
  const instance = `${host}:${port}`;
  const limit = AbortSignal.timeout(timeoutSeconds * 1000);
  const signal = AbortSignal.any([around.signal, limit]);
  const late = `no answer within ${timeoutSeconds} s`;
  try {
    const { socket, ms } = await openSocket(host, port, { ...around, signal });
    const values = [{ name: 'latency', value: tenths(ms), unit: 'ms' }];
    const connected = `${instance} answered in ${tenths(ms)} ms`;
    try {
      if (expect === undefined) return { instance, status: 'healthy', message: connected, values };
      const heard = await Promise.race([greets(socket, expect), once(signal, 'abort').then(() => undefined)]);
      around.signal.throwIfAborted();
      if (heard) return { instance, status: 'healthy', message: `${connected} and said "${expect}"`, values };
      const instead =
        heard === undefined ? `did not say it within ${timeoutSeconds} s` : 'said something else';
      return {
        instance,
        status: 'critical',
        message: `${instance} ought to say "${expect}" and ${instead}`,
        values,
      };
    } finally {
      socket.on('error', () => {});
      socket.destroy();
    }
  } catch (error) {
    around.signal.throwIfAborted();
    if (error instanceof ForbiddenAddress) return { instance, status: 'unknown', message: error.message };
    const reason = limit.aborted ? late : reasonOf(error);
    return {
      instance,
      status: 'critical',
      message: `${instance} is out of reach: ${reason}`,
      values: [{ name: 'latency', value: null, unit: 'ms' }],
    };
  }
}

export const tcp = defineCheck({
  name: 'tcp',
  about: 'A port: whether it takes connections, and what it says',
  runs: 'anywhere',
  settings: z.strictObject({
    host: hostSchema.optional().describe("Default: the device's address."),
    port: z.int().min(1).max(65_535),
    expect: z
      .string()
      .min(1)
      .max(200)
      .optional()
      .describe('What it has to say by itself, such as 220 or SSH-2.0.'),
    timeoutSeconds: timeoutSchema(5),
  }),
  values: { latency: { unit: 'ms', about: 'Time to connect', warning: 1000, critical: 3000 } },
  timeoutMs: ({ timeoutSeconds }) => timeoutSeconds * 1000 + 1000,
  async measure(device, settings, around) {
    return [await tcpFinding({ ...settings, host: settings.host ?? addressOf(device) }, around)];
  },
});
