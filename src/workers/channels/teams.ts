import { type AlertItem, itemLine, shownItems } from '../../domain/alert/message.ts';
import { defineChannel, postJson } from './channel.ts';

/** Runs of text are shown as they are; a text block would read Markdown in them. */
function line(text: string, more: object = {}): object {
  return { type: 'RichTextBlock', inlines: [{ type: 'TextRun', text: text.slice(0, 2000), ...more }] };
}

function colour(item: AlertItem): string {
  if (item.event === 'resolved') return 'good';
  return item.alert.severity === 'critical' ? 'attention' : 'warning';
}

/** A Microsoft Teams channel, through a workflow that posts the card it is sent. */
export const teams = defineChannel({
  type: 'teams',
  about: 'Microsoft Teams, through a workflow webhook; its address is the credential <name>/url',
  settings: {},
  async send(message, _settings, { signal, secret }) {
    const rest = message.items.length - shownItems;
    const card = {
      $schema: 'http://adaptivecards.io/schemas/adaptive-card.json',
      type: 'AdaptiveCard',
      version: '1.4',
      body: [
        line(message.subject, { weight: 'bolder', size: 'medium' }),
        ...message.items.slice(0, shownItems).map((item) => line(itemLine(item), { color: colour(item) })),
        ...(rest > 0 ? [line(`… and ${rest} more`)] : []),
      ],
    };
    const body = {
      type: 'message',
      attachments: [{ contentType: 'application/vnd.microsoft.card.adaptive', content: card }],
    };
    return postJson(await secret('url'), JSON.stringify(body), { 'idempotency-key': message.id }, signal);
  },
});
