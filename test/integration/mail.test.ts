import { createServer, type Socket } from 'node:net';
import { once } from 'node:events';
import { expect, onTestFinished, test } from 'vitest';
import { smtpMailer, type SmtpSettings } from '../../src/workers/mail/smtp.ts';
import { receiver } from '../support/smtp.ts';

const message = {
  messageId: '<stable@msp.example>',
  to: 'it@acme.example',
  subject: 'Report',
  text: 'Hello',
  attachments: [],
};
const { signal } = new AbortController();

function mailer(port: number, extra: Partial<SmtpSettings> = {}) {
  return smtpMailer({
    host: '127.0.0.1',
    port,
    secure: false,
    from: 'MSP <reports@msp.example>',
    password: async () => undefined,
    ...extra,
  });
}

/** A server that speaks just enough SMTP and then does `afterData` with the connection. */
async function rudeServer(afterData: (socket: Socket) => void): Promise<number> {
  const server = createServer((socket) => {
    let inData = false;
    socket.on('error', () => {});
    socket.write('220 rude\r\n');
    socket.on('data', (data) => {
      for (const line of data.toString().split('\r\n')) {
        if (inData) {
          if (line === '.') afterData(socket);
        } else if (/^(EHLO|HELO|MAIL|RCPT)/.test(line)) socket.write('250 ok\r\n');
        else if (line === 'DATA') {
          inData = true;
          socket.write('354 go on\r\n');
        }
      }
    });
  }).listen(0, '127.0.0.1');
  onTestFinished(() => void server.close());
  await once(server, 'listening');
  return (server.address() as { port: number }).port;
}

test('a message arrives with the Message-ID it was given', async () => {
  const { port, messages } = await receiver();
  await expect(mailer(port).send(message, signal)).resolves.toEqual({
    response: expect.stringContaining('250'),
  });
  expect(messages).toMatchObject([
    { messageId: message.messageId, subject: 'Report', from: { address: 'reports@msp.example' } },
  ]);
});

test('a server that is away is worth another try', async () => {
  await expect(mailer(1).send(message, signal)).rejects.toMatchObject({
    code: 'MAIL_UNAVAILABLE',
    retryable: true,
  });
});

test('a refused recipient is not', async () => {
  const { port } = await receiver({
    onRcptTo: (_address, _session, done) =>
      done(Object.assign(new Error('no such user'), { responseCode: 550 })),
  });
  await expect(mailer(port).send(message, signal)).rejects.toMatchObject({
    code: 'MAIL_REJECTED',
    retryable: false,
  });
});

test('a busy server (4xx) is worth another try', async () => {
  const { port } = await receiver({
    onRcptTo: (_address, _session, done) => done(Object.assign(new Error('later'), { responseCode: 451 })),
  });
  await expect(mailer(port).send(message, signal)).rejects.toMatchObject({ code: 'MAIL_UNAVAILABLE' });
});

test('a wrong password is an authentication error that says how to set it, without showing it', async () => {
  const { port } = await receiver({
    authOptional: false,
    onAuth: (_auth, _session, done) => done(new Error('wrong')),
  });
  const sending = mailer(port, { user: 'anna', password: async () => 'hunter2' }).send(message, signal);
  await expect(sending).rejects.toMatchObject({
    code: 'MAIL_AUTH',
    kind: 'auth',
    hint: expect.stringContaining('credential set'),
  });
  await expect(sending).rejects.toSatisfy((error) => !JSON.stringify(error).includes('hunter2'));
});

test('a missing password is said before anything is sent', async () => {
  await expect(mailer(1, { user: 'anna' }).send(message, signal)).rejects.toMatchObject({
    code: 'MAIL_AUTH',
  });
});

test('a connection that breaks after the message went out leaves its fate uncertain', async () => {
  const port = await rudeServer((socket) => socket.destroy());
  await expect(mailer(port).send(message, signal)).rejects.toMatchObject({ code: 'MAIL_UNCERTAIN' });
});

test('one that breaks before that leaves no doubt: nothing was taken', async () => {
  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.write('220 rude\r\n');
    socket.on('data', (data) =>
      data.toString().startsWith('RCPT') ? socket.destroy() : socket.write('250 ok\r\n'),
    );
  }).listen(0, '127.0.0.1');
  onTestFinished(() => void server.close());
  await once(server, 'listening');
  const at = (server.address() as { port: number }).port;
  await expect(mailer(at).send(message, signal)).rejects.toMatchObject({ code: 'MAIL_UNAVAILABLE' });
});

test('a server that never answers is given up when the job is', async () => {
  const port = await rudeServer(() => {});
  const controller = new AbortController();
  const sending = mailer(port).send(message, controller.signal);
  setTimeout(() => controller.abort(new Error('cancelled')), 200);
  await expect(sending).rejects.toThrow('cancelled');
});

test('without a configured server every send says so', async () => {
  await expect(smtpMailer(undefined).send(message, signal)).rejects.toMatchObject({
    code: 'MAIL_NOT_CONFIGURED',
    kind: 'usage',
  });
});
