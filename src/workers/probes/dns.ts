import { z } from 'zod';
import { defineCheck } from '../../domain/check/check-type.ts';
import { hostSchema, reasonOf, tenths, timeoutSchema } from './probe.ts';

const types = ['A', 'AAAA', 'CNAME', 'MX', 'NS', 'TXT', 'PTR', 'SOA', 'SRV', 'CAA'] as const;

/** Answers as one writes them down: `10 mail.example.com` for MX, the text itself for TXT. */
function asText(answer: unknown): string {
  if (typeof answer === 'string') return answer;
  if (Array.isArray(answer)) return answer.join('');
  return Object.entries(answer as Record<string, unknown>)
    .filter(([key]) => key !== 'critical')
    .map(([, value]) => String(value))
    .join(' ');
}

const answersOf = (found: unknown): string[] => (Array.isArray(found) ? found : [found]).map(asText);

const same = (a: string) => a.toLowerCase().replace(/\.$/, '');

/** A record as a name server answers it, and whether it is the expected one. */
export const dns = defineCheck({
  name: 'dns',
  about: 'A record: whether it is there, and is what it should be',
  runs: 'anywhere',
  settings: z.strictObject({
    name: hostSchema,
    type: z.enum(types).default('A'),
    expect: z
      .array(z.string().min(1))
      .min(1)
      .optional()
      .describe('Answers that have to be among those given.'),
    server: z
      .string()
      .regex(/^[\d.]+(:\d{1,5})?$|^\[?[0-9a-fA-F:]+\]?(:\d{1,5})?$/, 'must be the address of a name server')
      .optional()
      .describe("The server to ask, such as 9.9.9.9 or 127.0.0.1:5353; default: the system's."),
    timeoutSeconds: timeoutSchema(5),
  }),
  values: { latency: { unit: 'ms', about: 'Time to the answer', warning: 1000, critical: 4000 } },
  timeoutMs: ({ timeoutSeconds }) => timeoutSeconds * 1000 + 1000,
  async measure(_device, { name, type, expect, server, timeoutSeconds }, { signal }) {
    const instance = `${name} ${type}${server ? ` @${server}` : ''}`;
    const { Resolver } = await import('node:dns/promises');
    const resolver = new Resolver({ timeout: Math.round(timeoutSeconds * 1000), tries: 1 });
    if (server) resolver.setServers([server]);
    const limit = AbortSignal.timeout(timeoutSeconds * 1000);
    const cancel = () => resolver.cancel();
    for (const s of [signal, limit]) s.addEventListener('abort', cancel, { once: true });
    const began = performance.now();
    const failed = (message: string) => [
      {
        instance,
        status: 'critical' as const,
        message,
        values: [{ name: 'latency', value: null, unit: 'ms' }],
      },
    ];
    try {
      const found = answersOf(await resolver.resolve(name, type));
      const ms = tenths(performance.now() - began);
      const missing = (expect ?? []).filter((e) => !found.some((f) => same(f) === same(e)));
      const said = `${name} ${type} is ${found.slice(0, 5).join(', ')}${found.length > 5 ? ', …' : ''}, found in ${ms} ms`;
      const values = [{ name: 'latency', value: ms, unit: 'ms' }];
      if (missing.length > 0)
        return [
          { instance, status: 'critical', message: `${said}; ${missing.join(', ')} is not among it`, values },
        ];
      return [{ instance, status: 'healthy', message: said, values }];
    } catch (error) {
      signal.throwIfAborted();
      if (limit.aborted || reasonOf(error).includes('ETIMEOUT'))
        return failed(`no answer for ${name} ${type} within ${timeoutSeconds} s`);
      return failed(`${name} ${type} can't be resolved: ${reasonOf(error)}`);
    } finally {
      for (const s of [signal, limit]) s.removeEventListener('abort', cancel);
    }
  },
});
