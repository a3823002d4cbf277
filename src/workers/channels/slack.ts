import { type AlertItem, itemLine, shownItems, worstOf } from '../../domain/alert/message.ts';
import { defineChannel, postJson } from './channel.ts';

/** Slack reads &, < and > as markup. */
function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

const colours = { critical: '#c0392b', warning: '#d68910', info: '#2e86c1' } as const;

function section(item: AlertItem): object {
  // A block of plain text is shown as it is: nothing in it becomes a link, a mention or bold type.
  return { type: 'section', text: { type: 'plain_text', emoji: false, text: itemLine(item).slice(0, 2900) } };
}

/** A Slack channel, through an incoming webhook. */
export const slack = defineChannel({
  type: 'slack',
  about: 'Slack, through an incoming webhook; its address is the credential <name>/url',
  settings: {},
  async send(message, _settings, { signal, secret }) {
    const rest = message.items.length - shownItems;
    const worst = worstOf(message.items);
    const more = { type: 'section', text: { type: 'plain_text', text: `… and ${rest} more` } };
    const body = {
      text: escaped(message.subject),
      attachments: [
        {
          color: worst ? colours[worst] : '#1e8449',
          blocks: [...message.items.slice(0, shownItems).map(section), ...(rest > 0 ? [more] : [])],
        },
      ],
    };
    return postJson(await secret('url'), JSON.stringify(body), { 'idempotency-key': message.id }, signal);
  },
});
