import { z } from 'zod';
import { severities, type Severity } from '../../domain/alert/alert.ts';
import { clientIdSchema } from '../../domain/client.ts';
import type { Clock } from '../../domain/clock.ts';
import { DomainError } from '../../domain/errors.ts';
import type { Channels, Mailer } from '../../domain/ports.ts';
import type { ChannelType } from './channel.ts';
import { email } from './email.ts';
import { slack } from './slack.ts';
import { teams } from './teams.ts';
import { webhook } from './webhook.ts';

/** Every channel there is. A new one is a file and a line here. */
export const channelTypes: readonly ChannelType[] = [email, slack, teams, webhook];

const common = {
  name: z.string().regex(/^[a-z][a-z0-9-]{0,31}$/, 'must be 1 to 32 characters of a-z, 0-9 and -'),
  minSeverity: z.enum(severities).default('warning').describe('What is less severe is not told here.'),
  clients: z.array(clientIdSchema).min(1).optional().describe('Absent: every client.'),
  afterMinutes: z
    .int()
    .min(0)
    .max(10_080)
    .default(0)
    .describe('Told only of alerts that nobody has taken up for so long: escalation.'),
};

const [first, ...others] = channelTypes.map((channel) =>
  z.strictObject({ ...common, type: z.literal(channel.type), ...channel.settings }),
);

/** A channel as the configuration names it, with the settings of its type. */
export interface ChannelConfig {
  name: string;
  type: string;
  minSeverity: Severity;
  clients?: string[] | undefined;
  afterMinutes: number;
  [setting: string]: unknown;
}
export type ChannelInput = Partial<ChannelConfig> & Pick<ChannelConfig, 'name' | 'type'>;

export const channelSchema = z.discriminatedUnion('type', [
  first ?? z.strictObject({ ...common, type: z.literal('') }),
  ...others,
]) as unknown as z.ZodType<ChannelConfig, ChannelInput>;

/** Sends through the configured channels. */
export function openChannels(parts: {
  channels: readonly ChannelConfig[];
  mailer: Mailer;
  mailFrom: string;
  clock: Clock;
  credential(service: string, key: string): Promise<string | undefined>;
}): Channels {
  return {
    async send(name, message, signal) {
      const settings = parts.channels.find((channel) => channel.name === name);
      const type = channelTypes.find((t) => t.type === settings?.type);
      if (!settings || !type) {
        throw new DomainError('CHANNEL_UNKNOWN', `There is no channel "${name}" in the configuration.`, {
          details: { channel: name },
          hint: 'Set it under alerts.channels, then retry the job.',
        });
      }
      return type.send(message, settings as never, {
        signal,
        mailer: parts.mailer,
        mailFrom: parts.mailFrom,
        now: parts.clock.now(),
        async secret(key) {
          const found = await parts.credential(name, key);
          if (found) return found;
          throw new DomainError(
            'CHANNEL_REJECTED',
            `The channel "${name}" lacks its credential ${name}/${key}.`,
            {
              details: { channel: name, key },
              hint: `Set it with: msp-toolkit credential set ${name} ${key}`,
            },
          );
        },
      });
    },
  };
}
