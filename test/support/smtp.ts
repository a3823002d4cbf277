import type { AddressInfo } from 'node:net';
import PostalMime, { type Email } from 'postal-mime';
import { SMTPServer, type SMTPServerOptions } from 'smtp-server';
import { onTestFinished } from 'vitest';

export interface Receiver {
  port: number;
  /** The messages that were accepted, in order. */
  messages: Email[];
}

/** A real SMTP server on loopback. `options` may refuse, delay or break off. */
export async function receiver(
  options: SMTPServerOptions & { beforeAnswer?: () => Promise<void> } = {},
): Promise<Receiver> {
  const messages: Email[] = [];
  const server = new SMTPServer({
    authOptional: true,
    disabledCommands: ['STARTTLS'],
    logger: false,
    onData(stream, _session, done) {
      const parts: Buffer[] = [];
      stream.on('data', (part: Buffer) => parts.push(part));
      stream.on('end', async () => {
        messages.push(await PostalMime.parse(Buffer.concat(parts)));
        await options.beforeAnswer?.();
        done();
      });
    },
    ...options,
  });
  server.on('error', () => {});
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => new Promise<void>((resolve) => server.close(() => resolve())));
  return { port: (server.server.address() as AddressInfo).port, messages };
}
