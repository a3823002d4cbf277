import type { IncomingMessage } from 'node:http';
import { once } from 'node:events';
import { z } from 'zod';
import { defineCheck, type Finding, type MeasureContext } from '../../domain/check/check-type.ts';
import {
  assertAllowed,
  bytes,
  ForbiddenAddress,
  guardedLookup,
  reasonOf,
  tenths,
  timeoutSchema,
} from './probe.ts';

const settings = z.strictObject({
  url: z
    .url({ protocol: /^https?$/, error: 'must be an http or https address' })
    .refine((url) => !URL.canParse(url) || (new URL(url).username === '' && new URL(url).password === ''), {
      error: 'must not hold a user or a password: addresses are shown wherever results are',
    }),
  method: z.enum(['GET', 'HEAD', 'POST', 'OPTIONS']).default('GET'),
  status: z
    .array(z.int().min(100).max(599))
    .min(1)
    .optional()
    .describe('Status codes that are right; default: 200 to 299.'),
  contains: z.string().min(1).max(1000).optional().describe('What the body has to contain.'),
  absent: z.string().min(1).max(1000).optional().describe('What the body must not contain.'),
  redirects: z.int().min(0).max(20).default(5).describe('How many redirects to follow.'),
  timeoutSeconds: timeoutSchema(10).describe('For all of it, the body included.'),
  maxBytes: z.int().min(1).max(16_777_216).default(1_048_576).describe('How much of the body to read.'),
  insecure: z.boolean().default(false).describe('Take any certificate; check it with tls instead.'),
});

type Settings = z.infer<typeof settings>;

async function ask(url: URL, wish: Settings, around: MeasureContext): Promise<IncomingMessage> {
  assertAllowed(url.hostname, around);
  const { request: send } = await (url.protocol === 'https:' ? import('node:https') : import('node:http'));
  const request = send(url, {
    method: wish.method,
    lookup: guardedLookup(around),
    signal: around.signal,
    agent: false,
    headers: { 'user-agent': 'msp-toolkit', accept: '*/*', 'accept-encoding': 'identity' },
    ...(wish.insecure ? { rejectUnauthorized: false } : {}),
  });
  const answered = once(request, 'response') as Promise<[IncomingMessage]>;
  // What goes wrong after the head of the answer is told by the answer itself.
  request.on('error', () => {});
  request.end();
  const [response] = await answered;
  return response;
}

/** Reads the body up to the limit; of the rest nothing is wanted. */
async function read(response: IncomingMessage, limit: number): Promise<{ text: string; cut: boolean }> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const data of response) {
    const part = data as Buffer;
    parts.push(part.subarray(0, limit - size));
    size += part.byteLength;
    if (size >= limit) break;
  }
  return { text: Buffer.concat(parts).toString('utf8'), cut: size >= limit };
}

/** Whether a web address answers as it should, and how fast. */
export const http = defineCheck({
  name: 'http',
  about: 'A web address: status, body, latency, redirects',
  runs: 'anywhere',
  settings,
  values: {
    latency: { unit: 'ms', about: 'Time to the whole answer', warning: 3000, critical: 8000 },
    status: { unit: 'code', about: 'Status code' },
    redirects: { unit: 'redirects', about: 'Redirects that were followed' },
  },
  timeoutMs: ({ timeoutSeconds }) => timeoutSeconds * 1000 + 1000,
  async measure(_device, wish, around) {
    const limit = AbortSignal.timeout(wish.timeoutSeconds * 1000);
    const within = { ...around, signal: AbortSignal.any([around.signal, limit]) };
    const began = performance.now();
    const seen: string[] = [];
    let code: number | null = null;
    const finding = (status: Finding['status'], message: string, latency: number | null): Finding => ({
      instance: wish.url,
      ...(status ? { status } : {}),
      message,
      values: [
        { name: 'latency', value: latency, unit: 'ms' },
        { name: 'status', value: code, unit: 'code' },
        { name: 'redirects', value: seen.length === 0 ? null : seen.length - 1, unit: 'redirects' },
      ],
    });
    let response: IncomingMessage | undefined;
    try {
      let url = new URL(wish.url);
      for (;;) {
        seen.push(url.href);
        response = await ask(url, wish, within);
        code = response.statusCode ?? null;
        const { location } = response.headers;
        const moved = [301, 302, 303, 307, 308].includes(code ?? 0) && location !== undefined;
        if (!moved || wish.redirects === 0) break;
        response.destroy();
        const next = new URL(location, url);
        if (!/^https?:$/.test(next.protocol))
          return [
            finding(
              'critical',
              `it redirects to ${next.protocol.slice(0, -1)}, which is no web address`,
              null,
            ),
          ];
        if (seen.includes(next.href))
          return [finding('critical', `it redirects in a loop: ${next.href} came up before`, null)];
        if (seen.length > wish.redirects)
          return [finding('critical', `it redirects more than ${wish.redirects} times`, null)];
        url = next;
      }
      const { text, cut } = await read(response, wish.maxBytes);
      const ms = tenths(performance.now() - began);
      const right = wish.status
        ? wish.status.includes(code ?? 0)
        : code !== null && code >= 200 && code < 300;
      const size = cut ? `more than ${bytes(wish.maxBytes)}` : bytes(Buffer.byteLength(text));
      const said = `it answered ${code} in ${ms} ms, ${size}`;
      if (!right)
        return [finding('critical', `${said}; that is not ${wish.status?.join(' or ') ?? '2xx'}`, ms)];
      const where = cut ? `the first ${bytes(wish.maxBytes)} of the body` : 'the body';
      if (wish.contains !== undefined && !text.includes(wish.contains))
        return [finding('critical', `${said}; "${wish.contains}" is not in ${where}`, ms)];
      if (wish.absent !== undefined && text.includes(wish.absent))
        return [finding('critical', `${said}; "${wish.absent}" is in the body`, ms)];
      return [finding('healthy', said, ms)];
    } catch (error) {
      around.signal.throwIfAborted();
      if (error instanceof ForbiddenAddress) return [finding('unknown', error.message, null)];
      const reason = limit.aborted ? `not answered in full within ${wish.timeoutSeconds} s` : reasonOf(error);
      return [finding('critical', `it could not be fetched: ${reason}`, null)];
    } finally {
      response?.on('error', () => {});
      response?.destroy();
    }
  },
});
