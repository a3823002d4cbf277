import { z } from 'zod';
import { type AlertItem, itemLine, shownItems } from '../../domain/alert/message.ts';
import { emailSchema } from '../../domain/client.ts';
import { defineChannel } from './channel.ts';

function describe(item: AlertItem): string {
  const { alert } = item;
  const since = `since ${alert.openedAt}${alert.resolvedAt ? `, resolved ${alert.resolvedAt}` : ''}`;
  return `${itemLine(item)}\n  ${since}; alert ${alert.id}`;
}

/** Mail to whoever is on duty, through the configured mail server. */
export const email = defineChannel({
  type: 'email',
  about: 'Mail, through the mail server of the configuration',
  settings: { to: z.array(emailSchema).min(1).describe('Who gets it.') },
  async send(message, { to }, { signal, mailer, mailFrom }) {
    const shown = message.items.slice(0, shownItems).map(describe);
    const rest = message.items.length - shown.length;
    const text = [
      ...shown,
      ...(rest > 0 ? [`… and ${rest} more; see: msp-toolkit alert list`] : []),
      'Take one up with: msp-toolkit alert ack <id> --note "..."',
      message.company,
    ].join('\n\n');
    const domain = /@([^@>]+)>?$/.exec(mailFrom)?.[1] ?? 'msp-toolkit.invalid';
    return mailer.send(
      {
        messageId: `<alerts.${message.id}@${domain}>`,
        to: to.join(', '),
        subject: message.subject.replaceAll(/[\r\n]+/g, ' ').slice(0, 200),
        text: `${text}\n`,
        attachments: [],
      },
      signal,
    );
  },
});
