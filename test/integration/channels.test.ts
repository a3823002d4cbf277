import { createHmac } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import type { Alert } from '../../src/domain/alert/alert.ts';
import { type AlertItem, messageOf } from '../../src/domain/alert/message.ts';
import { systemClock } from '../../src/domain/clock.ts';
import type { Mailer } from '../../src/domain/ports.ts';
import { alertSettings } from '../../src/entry/ports.ts';
import { channelTypes, openChannels } from '../../src/workers/channels/index.ts';
import { smtpMailer } from '../../src/workers/mail/smtp.ts';
import { watchAlerts } from '../../src/scheduler/watch.ts';
import { parseConfig } from '../../src/entry/config.ts';
import { handClock } from '../support/engine.ts';
import { tcpServer } from '../support/probing.ts';
import { measured, recordMeasured } from '../support/results.ts';
import { receiver } from '../support/smtp.ts';
import { testToolkit } from '../support/toolkit.ts';
import { inbox, type Posted } from '../support/webhook.ts';
import { teller } from '../../src/jobs/alert-notify.ts';

const nasty = '<!channel> *bold* [link](http://x) <script>alert(1)</script> & "q"';

function item(more: Partial<Alert> = {}, event: AlertItem['event'] = 'opened'): AlertItem {
  const alert: Alert = {
    id: 'a1',
    clientId: 'acme',
    deviceId: 'd1',
    check: 'disk',
    instance: '/data',
    severity: 'critical',
    state: 'open',
    message: nasty,
    fingerprint: 'f',
    openedAt: '2026-06-01T00:00:00.000Z',
    lastAt: '2026-06-01T00:00:00.000Z',
    count: 3,
    acknowledgedAt: null,
    acknowledgedBy: null,
    note: null,
    until: null,
    resolvedAt: null,
    resolvedBy: null,
    ...more,
  };
  return { event, alert, clientName: 'Acme Corp', deviceName: 'web-1' };
}

const { signal } = new AbortController();

/** A channel of the given type that posts to `url`, or mails to a server at `port`. */
function channel(type: string, url: string, options: { secret?: string; mailer?: Mailer } = {}) {
  const settings = type === 'email' ? { to: ['duty@msp.example'] } : {};
  return openChannels({
    channels: parseConfig({ alerts: { channels: [{ name: 'team', type, ...settings } as never] } }, {}).alerts
      .channels,
    mailer: options.mailer ?? smtpMailer(undefined),
    mailFrom: 'MSP <alerts@msp.example>',
    clock: systemClock,
    credential: async (service, key) =>
      service !== 'team' ? undefined : key === 'url' ? url : (options.secret ?? 'hush'),
  });
}

const posting = channelTypes.map(({ type }) => type).filter((type) => type !== 'email');

describe.each(posting)('the channel %s', (type) => {
  test('posts one message for all it is given, with an id that stays the same', async () => {
    const { url, posted } = await inbox();
    const items = Array.from({ length: 60 }, (_, n) => item({ id: `a${n}`, message: `no ${n}` }));
    await channel(type, url).send('team', messageOf('m1', 'Test MSP', items), signal);
    await channel(type, url).send('team', messageOf('m1', 'Test MSP', items), signal);
    expect(posted).toHaveLength(2);
    expect(new Set(posted.map((p) => p.headers['idempotency-key']))).toEqual(new Set(['m1']));
    expect(posted[0]?.body).toBe(posted[1]?.body);
    expect(posted[0]?.body).toContain('60 alerts at Acme Corp');
  });

  test.each([500, 503, 429, 408])('says of %d that it can be tried again', async (code) => {
    const { url } = await inbox(() => code);
    await expect(
      channel(type, url).send('team', messageOf('m', 'x', [item()]), signal),
    ).rejects.toMatchObject({ code: 'CHANNEL_UNAVAILABLE', retryable: true });
  });

  test.each([400, 401, 404, 410, 302])('says of %d that it can not', async (code) => {
    const { url } = await inbox(() => code);
    await expect(
      channel(type, url).send('team', messageOf('m', 'x', [item()]), signal),
    ).rejects.toMatchObject({ code: 'CHANNEL_REJECTED', retryable: false });
  });

  test('never tells its address: that is the secret', async () => {
    const { url } = await inbox(() => 'drop');
    const error = await channel(type, url)
      .send('team', messageOf('m', 'x', [item()]), signal)
      .catch((e: Error) => e);
    expect(error).toMatchObject({ code: 'CHANNEL_UNAVAILABLE' });
    expect(JSON.stringify(error)).not.toContain('s3cret');
    const refused = channel(type, 'http://127.0.0.1:1/hook/s3cret');
    const none = await refused.send('team', messageOf('m', 'x', [item()]), signal).catch((e: Error) => e);
    expect(JSON.stringify(none)).not.toContain('s3cret');
  });

  test('gives up when its signal is aborted', async () => {
    const port = await tcpServer();
    const controller = new AbortController();
    const sending = channel(type, `http://127.0.0.1:${port}/`).send(
      'team',
      messageOf('m', 'x', [item()]),
      controller.signal,
    );
    setTimeout(() => controller.abort(new Error('stop')), 50);
    await expect(sending).rejects.toThrow('stop');
  });

  test('without its credential says how to set it', async () => {
    const none = openChannels({
      channels: parseConfig({ alerts: { channels: [{ name: 'team', type } as never] } }, {}).alerts.channels,
      mailer: smtpMailer(undefined),
      mailFrom: 'x@y.example',
      clock: systemClock,
      credential: async () => undefined,
    });
    await expect(none.send('team', messageOf('m', 'x', [item()]), signal)).rejects.toMatchObject({
      code: 'CHANNEL_REJECTED',
      hint: expect.stringContaining('credential set team'),
    });
  });
});

test('Slack gets text in which nothing is markup', async () => {
  const { url, posted } = await inbox();
  await channel('slack', url).send('team', messageOf('m', 'x', [item()]), signal);
  const { text, attachments } = (posted[0] as Posted).json() as {
    text: string;
    attachments: { color: string; blocks: { text: { type: string; text: string } }[] }[];
  };
  expect(text).toContain('&lt;!channel&gt;');
  expect(attachments[0]?.blocks[0]?.text).toMatchObject({
    type: 'plain_text',
    text: expect.stringContaining(nasty),
  });
  expect(attachments[0]?.color).toBe('#c0392b');
});

test('Teams gets a card whose text is no Markdown', async () => {
  const { url, posted } = await inbox();
  await channel('teams', url).send('team', messageOf('m', 'x', [item()]), signal);
  const [attachment] = (
    (posted[0] as Posted).json() as { attachments: { contentType: string; content: { body: object[] } }[] }
  ).attachments;
  expect(attachment?.contentType).toBe('application/vnd.microsoft.card.adaptive');
  expect(attachment?.content.body.every((block) => 'type' in block && block.type === 'RichTextBlock')).toBe(
    true,
  );
});

test('a webhook is signed, so that the receiver can check it', async () => {
  const { url, posted } = await inbox();
  await channel('webhook', url, { secret: 'topsecret' }).send('team', messageOf('m', 'x', [item()]), signal);
  const [got] = posted;
  const [, t, v1] = /^t=(\d+),v1=([0-9a-f]{64})$/.exec(String(got?.headers['x-msp-signature'])) ?? [];
  expect(v1).toBe(createHmac('sha256', 'topsecret').update(`${t}.${got?.body}`).digest('hex'));
  expect(Math.abs(Number(t) - Date.now() / 1000)).toBeLessThan(60);
  expect(got?.json()).toMatchObject({
    id: 'm',
    alerts: [{ event: 'opened', id: 'a1', severity: 'critical' }],
  });
});

test('mail goes to all who are on duty, with a Message-ID that stays the same', async () => {
  const { port, messages } = await receiver();
  const mailer = smtpMailer({
    host: '127.0.0.1',
    port,
    secure: false,
    from: 'a@msp.example',
    password: async () => '',
  });
  const message = messageOf('m7', 'Test MSP', [item(), item({ id: 'a2', severity: 'warning' }, 'resolved')]);
  await channel('email', '', { mailer }).send('team', message, signal);
  expect(messages).toMatchObject([
    {
      messageId: '<alerts.m7@msp.example>',
      to: [{ address: 'duty@msp.example' }],
      subject: 'CRITICAL 1 alert, 1 resolved at Acme Corp',
    },
  ]);
  expect(messages[0]?.text).toContain('CRITICAL Acme Corp: web-1 disk /data (new)');
  expect(messages[0]?.text).toContain('RESOLVED Acme Corp');
});

describe('what comes up is told', () => {
  async function withChannels(channels: object[], more: object = {}) {
    const clock = handClock('2026-06-01T10:00:00.000Z');
    const { toolkit } = await testToolkit(
      { alerts: { channels, groupSeconds: 30, ...more } as never },
      {
        clock,
        environment: { TEAM_SECRET: 'hush', BOSS_SECRET: 'hush' },
      },
    );
    const client = await toolkit.clients.add({ name: 'Acme Corp', id: 'acme' });
    const devices = await Promise.all(
      Array.from({ length: 40 }, (_, n) => toolkit.devices.add({ clientId: client.id, name: `pc-${n}` })),
    );
    const settings = { alerts: alertSettings(toolkit.parts.config) };
    const engine = await toolkit.parts.engine();
    await engine.link.ready();
    await toolkit.startWorkers();
    const { storage } = toolkit.parts;
    const pass = (minutes: number) =>
      clock.set(new Date(clock.now().getTime() + minutes * 60_000).toISOString());
    return {
      toolkit,
      clock,
      pass,
      /** Records one run in which all devices, or the first few, have this value. */
      async run(value: number, count = devices.length) {
        pass(5);
        const at = clock.now().toISOString();
        const found = Object.fromEntries(
          devices.slice(0, count).map((d) => [d.id, [measured(at, { value })]]),
        );
        const tell = teller({ settings, storage, clock }, 'acme');
        await recordMeasured(storage, 'acme', found, {
          tell,
          now: clock.now(),
          policy: { attempts: 1, flapping: { startsAbove: 99, endsAtOrBelow: 98 } },
        });
      },
      /** Lets the watch look, and waits until all that it asked for has ended. */
      async watch() {
        await watchAlerts(engine, settings);
        for (const job of await toolkit.jobs.list({ type: 'alert.notify' })) await toolkit.jobs.wait(job.id);
      },
    };
  }
  const hook = (name: string, url: string, more: object = {}) => ({ name, type: 'webhook', url, ...more });
  const told = (post: Posted | undefined) =>
    post ? (post.json() as { alerts: { event: string; severity: string; deviceName: string }[] }).alerts : [];

  test('as one message for a storm, after a moment; then its end', async () => {
    const { url, posted } = await inbox();
    const m = await withChannels([hook('team', url)]);
    await m.run(99);
    await m.watch();
    expect(posted).toHaveLength(0);
    m.pass(1);
    await m.watch();
    expect(posted).toHaveLength(1);
    expect(told(posted[0])).toHaveLength(40);
    await m.run(1);
    m.pass(1);
    await m.watch();
    expect(posted).toHaveLength(2);
    expect(new Set(told(posted[1]).map((a) => a.event))).toEqual(new Set(['resolved']));
    const [alert] = await m.toolkit.alerts.list({ state: 'resolved', limit: 1 });
    const { timeline } = await m.toolkit.alerts.get(alert?.id ?? '');
    expect(timeline.map((e) => `${e.what} ${e.who}`)).toEqual([
      'opened monitor',
      'told team',
      'resolved monitor',
      'told team',
    ]);
  });

  test('together with what comes up within the moment', async () => {
    const { url, posted } = await inbox();
    const m = await withChannels([hook('team', url)], { groupSeconds: 400 });
    await m.run(99, 10);
    await m.run(99, 20);
    m.pass(2);
    await m.watch();
    expect(posted).toHaveLength(1);
    expect(told(posted[0])).toHaveLength(20);
  });

  test('but not what is over before anybody heard of it', async () => {
    const { url, posted } = await inbox();
    const m = await withChannels([hook('team', url)], { groupSeconds: 3600 });
    await m.run(99, 1);
    await m.run(1, 1);
    m.pass(120);
    await m.watch();
    expect(posted).toHaveLength(0);
  });

  test('to whoever knows of it, when its device or client is removed and its alert with it', async () => {
    const { url, posted } = await inbox();
    const m = await withChannels([hook('team', url)]);
    await m.run(99, 2);
    m.pass(1);
    await m.watch();
    const [first] = await m.toolkit.alerts.list();
    await m.toolkit.devices.remove(first?.deviceId ?? '');
    await m.watch();
    expect(told(posted[1])).toMatchObject([{ event: 'resolved' }]);
    await m.toolkit.clients.remove('acme');
    await m.watch();
    expect(told(posted[2])).toMatchObject([{ event: 'resolved' }]);
  });

  test('again while nobody takes it up, and to others after a while', async () => {
    const team = await inbox();
    const boss = await inbox();
    const m = await withChannels(
      [hook('team', team.url), hook('boss', boss.url, { afterMinutes: 60, minSeverity: 'critical' })],
      { remindMinutes: 30 },
    );
    await m.run(99, 1);
    m.pass(1);
    await m.watch();
    expect([team.posted.length, boss.posted.length]).toEqual([1, 0]);
    m.pass(30);
    await m.watch();
    m.pass(1);
    await m.watch();
    expect(told(team.posted[1])[0]?.event).toBe('reminder');
    m.pass(40);
    await m.watch();
    await m.watch();
    expect(told(boss.posted[0])[0]?.event).toBe('escalated');
    expect(boss.posted).toHaveLength(1);
    const [alert] = await m.toolkit.alerts.list();
    await m.toolkit.alerts.acknowledge(alert?.id ?? '', 'at it');
    const before = team.posted.length;
    for (let n = 0; n < 3; n += 1) {
      m.pass(60);
      await m.watch();
    }
    expect(team.posted).toHaveLength(before);
  });

  test('again when an acknowledgement ends', async () => {
    const { url, posted } = await inbox();
    const m = await withChannels([hook('team', url)], { remindMinutes: 0 });
    await m.run(99, 1);
    m.pass(1);
    await m.watch();
    const [alert] = await m.toolkit.alerts.list();
    const until = new Date(m.clock.now().getTime() + 3_600_000).toISOString();
    await m.toolkit.alerts.acknowledge(alert?.id ?? '', 'at it', until);
    m.pass(59);
    await m.watch();
    expect((await m.toolkit.alerts.list())[0]?.state).toBe('acknowledged');
    m.pass(2);
    await m.watch();
    expect((await m.toolkit.alerts.list())[0]).toMatchObject({ state: 'open', until: null });
    m.pass(1);
    await m.watch();
    expect(posted).toHaveLength(2);
  });

  test('outside of business hours only if it is critical; the rest waits for the opening', async () => {
    const { url, posted } = await inbox();
    const m = await withChannels([hook('team', url)]);
    await m.toolkit.clients.update('acme', { metadata: { businessHours: { tue: ['08:00-18:00'] } } });
    await m.run(90, 1);
    m.pass(5);
    await m.watch();
    expect(posted).toHaveLength(0);
    await m.run(99, 1);
    m.pass(5);
    await m.watch();
    expect(told(posted[0])).toMatchObject([{ event: 'opened', severity: 'critical' }]);
    m.clock.set('2026-06-02T08:01:00.000Z');
    await m.watch();
    expect(posted).toHaveLength(1);
    // Whoever was told of it hears of its end at once.
    m.clock.set('2026-06-02T20:00:00.000Z');
    await m.run(1, 1);
    m.pass(1);
    await m.watch();
    expect(told(posted[1])).toMatchObject([{ event: 'resolved' }]);
  });

  test('only to channels that listen to that client and severity', async () => {
    const { url, posted } = await inbox();
    const m = await withChannels([
      hook('team', url, { minSeverity: 'critical' }),
      hook('boss', url, { clients: ['other'] }),
    ]);
    await m.run(90, 1);
    m.pass(1);
    await m.watch();
    expect(posted).toHaveLength(0);
    await m.run(99, 1);
    m.pass(1);
    await m.watch();
    expect(told(posted[0]).map((a) => a.event)).toEqual(['worse']);
  });

  test('however often the receiver is away; one that refuses is a dead letter that can be sent again', async () => {
    let code = 503;
    const { url, posted } = await inbox(() => code);
    const m = await withChannels([hook('team', url)]);
    await m.run(99, 1);
    m.pass(1);
    const watching = m.watch();
    await expect.poll(() => posted.length, { timeout: 10_000 }).toBe(1);
    code = 400;
    await watching;
    const [job] = await m.toolkit.jobs.list({ type: 'alert.notify' });
    expect(job).toMatchObject({ state: 'failed', error: { code: 'CHANNEL_REJECTED' } });
    const [alert] = await m.toolkit.alerts.list();
    expect((await m.toolkit.alerts.get(alert?.id ?? '')).timeline.at(-1)).toMatchObject({ what: 'not told' });
    code = 200;
    await m.toolkit.jobs.retry(job?.id ?? '');
    expect(await m.toolkit.jobs.wait(job?.id ?? '')).toMatchObject({
      state: 'succeeded',
      result: { told: 1 },
    });
    expect((await m.toolkit.alerts.get(alert?.id ?? '')).timeline.at(-1)).toMatchObject({
      what: 'told',
      who: 'team',
    });
    expect(new Set(posted.map((p) => p.headers['idempotency-key'])).size).toBe(1);
  });
});
