import type { z } from 'zod';
import type { AlertMessage } from '../../domain/alert/message.ts';
import { DomainError } from '../../domain/errors.ts';
import type { Mailer } from '../../domain/ports.ts';

/** What a channel may use to get a message out. */
export interface ChannelTools {
  signal: AbortSignal;
  mailer: Mailer;
  mailFrom: string;
  /** A secret of the channel: the credential <channel>/<key>. Throws CHANNEL_REJECTED where there is none. */
  secret(key: string): Promise<string>;
  now: Date;
}

/**
 * The contract of a channel: one file that implements it, and a line in the list of channels. It sends one message for
 * all that it is given, under the same id at every try, and says whether a later try may succeed.
 */
export interface ChannelType<S extends z.ZodRawShape = z.ZodRawShape> {
  type: string;
  about: string;
  /** Its own settings; secrets are credentials and never stand here. */
  settings: S;
  /** Throws CHANNEL_REJECTED, CHANNEL_UNAVAILABLE, or what a mailer throws. */
  send(
    message: AlertMessage,
    settings: z.infer<z.ZodObject<S>>,
    tools: ChannelTools,
  ): Promise<{ response: string }>;
}

/** Declares a channel. */
export function defineChannel<S extends z.ZodRawShape>(channel: ChannelType<S>): ChannelType {
  return channel as unknown as ChannelType;
}

/** How much of an answer is kept. */
const answerBytes = 500;

/** How long a receiver may take, in ms. */
const postMs = 15_000;

/**
 * Posts JSON. Of the address only the host is ever told: the rest may be a secret. Redirects are not followed, since a
 * receiver that has moved ought to be set anew.
 */
export async function postJson(
  address: string,
  body: string,
  headers: Record<string, string>,
  signal: AbortSignal,
): Promise<{ response: string }> {
  let host: string;
  try {
    host = new URL(address).host;
  } catch {
    throw new DomainError('CHANNEL_REJECTED', 'The address of the channel is not a web address.');
  }
  let status: number;
  let text: string;
  try {
    const answer = await fetch(address, {
      method: 'POST',
      body,
      headers: { 'content-type': 'application/json', 'user-agent': 'msp-toolkit', ...headers },
      redirect: 'manual',
      signal: AbortSignal.any([signal, AbortSignal.timeout(postMs)]),
    });
    status = answer.status;
    text = await beginning(answer);
  } catch (error) {
    signal.throwIfAborted();
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
    const reason = cause instanceof Error ? cause.message.replaceAll(address, host) : 'no answer';
    throw new DomainError('CHANNEL_UNAVAILABLE', `${host} can't be reached: ${reason}.`, {
      hint: 'The message is kept and sent again.',
      cause: error,
    });
  }
  if (status >= 200 && status < 300) return { response: `${status} ${text}`.trim() };
  const again = status === 408 || status === 425 || status === 429 || status >= 500;
  throw new DomainError(
    again ? 'CHANNEL_UNAVAILABLE' : 'CHANNEL_REJECTED',
    `${host} answered ${status}${text ? `: ${text}` : ''}.`,
    {
      details: { host, status },
      hint: again
        ? 'The message is kept and sent again.'
        : 'Check the address and the secret of the channel.',
    },
  );
}

/** The first words of an answer; of a long one nobody reads the rest. */
async function beginning(answer: Response): Promise<string> {
  const reader = answer.body?.getReader();
  if (!reader) return '';
  const parts: Uint8Array[] = [];
  let size = 0;
  while (size < answerBytes) {
    const { done, value } = await reader.read();
    if (done) break;
    parts.push(value);
    size += value.byteLength;
  }
  await reader.cancel().catch(() => {});
  return Buffer.concat(parts).subarray(0, answerBytes).toString('utf8').replaceAll(/\s+/g, ' ').trim();
}
