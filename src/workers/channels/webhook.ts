import { createHmac } from 'node:crypto';
import { z } from 'zod';
import { defineChannel, postJson } from './channel.ts';

/**
 * Any program that takes JSON by POST. The body is signed: the header `x-msp-signature` is `t=<seconds>,v1=<hex>`, where
 * the latter is the HMAC-SHA256 of `<seconds>.<body>` under the credential <name>/secret. The same message may come
 * twice, with the same `idempotency-key`.
 */
export const webhook = defineChannel({
  type: 'webhook',
  about: 'Any program that takes JSON by POST, signed with the credential <name>/secret',
  settings: {
    url: z
      .url({ protocol: /^https?$/ })
      .optional()
      .describe('Where to post to; absent: the credential <name>/url.'),
  },
  async send(message, { url }, { signal, secret, now }) {
    const body = JSON.stringify({
      id: message.id,
      company: message.company,
      subject: message.subject,
      alerts: message.items.map(({ event, alert, clientName, deviceName }) => ({
        event,
        clientName,
        deviceName,
        ...alert,
      })),
    });
    const seconds = Math.floor(now.getTime() / 1000);
    const digest = createHmac('sha256', await secret('secret'))
      .update(`${seconds}.${body}`)
      .digest('hex');
    const headers = { 'idempotency-key': message.id, 'x-msp-signature': `t=${seconds},v1=${digest}` };
    return postJson(url ?? (await secret('url')), body, headers, signal);
  },
});
