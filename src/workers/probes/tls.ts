import { once } from 'node:events';
import { isIP } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { z } from 'zod';
import { defineCheck, type Finding } from '../../domain/check/check-type.ts';
import { openSocket } from './connect.ts';
import { addressOf, ForbiddenAddress, hostSchema, reasonOf, tenths, timeoutSchema } from './probe.ts';

const dayMs = 86_400_000;

/** What is wrong with a certificate, in words that name the cause; OpenSSL's own code otherwise. */
function problemOf(socket: TLSSocket, name: string): string | undefined {
  if (socket.authorized) return undefined;
  const code = String((socket.authorizationError as (Error & { code?: string }) | string | undefined) ?? '');
  if (code.includes('CERT_HAS_EXPIRED')) return 'it has expired';
  if (code.includes('CERT_NOT_YET_VALID')) return 'it is not valid yet';
  if (code.includes('DEPTH_ZERO_SELF_SIGNED_CERT')) return 'it is self-signed';
  if (code.includes('SELF_SIGNED_CERT_IN_CHAIN'))
    return 'its chain ends in a certificate that nobody here trusts';
  if (code.includes('UNABLE_TO')) return 'its chain is not complete or not trusted';
  if (code.includes('ERR_TLS_CERT_ALTNAME_INVALID') || code.includes('altnames'))
    return `it is not for ${name}`;
  return code || 'it is not trusted';
}

/** The certificate that a server shows: how long it holds, and whether it is trusted for the name. */
export const tls = defineCheck({
  name: 'tls',
  about: 'A certificate: days until it expires, its chain, the name it is for',
  runs: 'anywhere',
  settings: z.strictObject({
    host: hostSchema.optional().describe("Default: the device's address."),
    port: z.int().min(1).max(65_535).default(443),
    servername: hostSchema.optional().describe('The name to ask for; default: the host.'),
    selfSigned: z.boolean().default(false).describe('Whether a certificate nobody vouches for will do.'),
    timeoutSeconds: timeoutSchema(5),
  }),
  values: {
    days: { unit: 'days', about: 'Days until it expires', worse: 'below', warning: 30, critical: 7 },
    latency: { unit: 'ms', about: 'Time to a secure connection' },
  },
  timeoutMs: ({ timeoutSeconds }) => timeoutSeconds * 1000 + 1000,
  async measure(device, wish, around) {
    const { port, timeoutSeconds, selfSigned } = wish;
    const host = wish.host ?? addressOf(device);
    const name = wish.servername ?? host;
    const instance = wish.servername ? `${host}:${port} ${name}` : `${host}:${port}`;
    const limit = AbortSignal.timeout(timeoutSeconds * 1000);
    const signal = AbortSignal.any([around.signal, limit]);
    const began = performance.now();
    let socket: TLSSocket | undefined;
    const finding = (status: Finding['status'], message: string, days: number | null): Finding => ({
      instance,
      ...(status ? { status } : {}),
      message,
      values: [
        { name: 'days', value: days, unit: 'days' },
        { name: 'latency', value: socket ? tenths(performance.now() - began) : null, unit: 'ms' },
      ],
    });
    try {
      const { socket: plain } = await openSocket(host, port, { ...around, signal });
      const { connect: secure } = await import('node:tls');
      // What is wrong with the certificate is the finding, so the handshake has to go through all the same.
      const opened = secure({
        socket: plain,
        rejectUnauthorized: false,
        ...(isIP(name) ? { host: name } : { servername: name }),
      });
      socket = opened;
      await Promise.race([
        once(opened, 'secureConnect'),
        once(signal, 'abort').then(() => Promise.reject(signal.reason)),
      ]);
      const certificate = opened.getPeerCertificate();
      if (!certificate.valid_to) return [finding('unknown', `${instance} shows no certificate`, null)];
      const days = Math.floor((Date.parse(certificate.valid_to) - around.clock.now().getTime()) / dayMs);
      const subject = String(certificate.subject?.CN ?? certificate.subjectaltname ?? 'a certificate');
      const until = `${subject}, until ${new Date(certificate.valid_to).toISOString().slice(0, 10)}`;
      const problem = problemOf(opened, name);
      const forgiven = selfSigned && /self-signed|trusted/.test(problem ?? '');
      if (days < 0) return [finding('critical', `the certificate has expired: ${until}`, days)];
      if (problem && !forgiven)
        return [finding('critical', `the certificate can't be trusted, ${problem}: ${until}`, days)];
      return [finding('healthy', `${until}${problem ? `, ${problem}` : ''}`, days)];
    } catch (error) {
      around.signal.throwIfAborted();
      if (error instanceof ForbiddenAddress) return [finding('unknown', error.message, null)];
      const reason = limit.aborted ? `no answer within ${timeoutSeconds} s` : reasonOf(error);
      return [finding('critical', `no secure connection to ${instance}: ${reason}`, null)];
    } finally {
      socket?.on('error', () => {});
      socket?.destroy();
    }
  },
});
