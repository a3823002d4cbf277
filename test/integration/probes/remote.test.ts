import { type ChildProcess, spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer as createHttp, type RequestListener } from 'node:http';
import { connect } from 'node:net';
import { createServer as createTls, getCACertificates, setDefaultCACertificates } from 'node:tls';
import { decode, encode, type Packet } from 'dns-packet';
import { generate } from 'selfsigned';
import { describe, expect, onTestFinished, test } from 'vitest';
import { addressGuard, deniedByDefault, isNetwork } from '../../../src/workers/probes/guard.ts';
import { listening, measure, measureOne, tcpServer } from '../../support/probing.ts';

const web = (serve: RequestListener) => listening(createHttp(serve));

async function httpOf(serve: RequestListener, settings: object = {}) {
  const port = await web(serve);
  const began = performance.now();
  const found = await measureOne('http', { url: `http://127.0.0.1:${port}/`, ...settings });
  return { ...found, took: performance.now() - began };
}

describe('http', () => {
  test('that answers is healthy with its latency and status', async () => {
    const found = await httpOf((_, response) => response.end('all is well'), {
      contains: 'well',
      absent: 'bad',
    });
    expect(found).toMatchObject({ status: 'healthy', message: expect.stringContaining('it answered 200') });
    expect(found.values).toMatchObject([
      { name: 'latency', unit: 'ms', value: expect.any(Number) },
      { name: 'status', value: 200 },
      { name: 'redirects', value: 0 },
    ]);
  });

  test.each([
    [500, {}, 'that is not 2xx'],
    [200, { status: [204] }, 'that is not 204'],
    [200, { contains: 'nowhere' }, '"nowhere" is not in the body'],
    [200, { absent: 'hello' }, '"hello" is in the body'],
  ])('that answers %d when %j is wanted is critical', async (code, settings, words) => {
    const found = await httpOf((_, response) => response.writeHead(code).end('hello'), settings);
    expect(found).toMatchObject({ status: 'critical', message: expect.stringContaining(words) });
  });

  test('follows redirects, but not round in a circle, on and on, or out of the web', async () => {
    const followed = await httpOf((request, response) => {
      if (request.url === '/') response.writeHead(302, { location: '/there' }).end();
      else response.end('there');
    });
    expect(followed).toMatchObject({ status: 'healthy' });
    expect(followed.values[2]).toMatchObject({ name: 'redirects', value: 1 });
    const loop = await httpOf((_, response) => response.writeHead(302, { location: '/' }).end());
    expect(loop).toMatchObject({ status: 'critical', message: expect.stringContaining('in a loop') });
    let n = 0;
    const endless = await httpOf((_, response) =>
      response.writeHead(302, { location: `/${(n += 1)}` }).end(),
    );
    expect(endless).toMatchObject({ status: 'critical', message: 'it redirects more than 5 times' });
    const out = await httpOf((_, response) =>
      response.writeHead(302, { location: 'file:///etc/passwd' }).end(),
    );
    expect(out).toMatchObject({ status: 'critical', message: expect.stringContaining('no web address') });
  });

  test('a server that answers a byte at a time is given up in time', async () => {
    const found = await httpOf(
      (_, response) => {
        response.writeHead(200, { 'content-length': 1000 });
        response.write('x');
        const timer = setInterval(() => response.write('x'), 200);
        response.on('close', () => clearInterval(timer));
      },
      { timeoutSeconds: 0.7 },
    );
    expect(found).toMatchObject({
      status: 'critical',
      message: expect.stringContaining('not answered in full within 0.7 s'),
    });
    expect(found.took).toBeLessThan(2000);
  });

  test('a server that takes the connection and says nothing is given up in time', async () => {
    const port = await tcpServer();
    const found = await measureOne('http', { url: `http://127.0.0.1:${port}/`, timeoutSeconds: 0.5 });
    expect(found).toMatchObject({ status: 'critical', message: expect.stringContaining('within 0.5 s') });
  });

  test('of a body of 2 GB only the beginning is read, in bounded memory', async () => {
    let sent = 0;
    const chunk = Buffer.alloc(1 << 20, 'x');
    const before = process.memoryUsage().arrayBuffers;
    const found = await httpOf((_, response) => {
      response.writeHead(200, { 'content-length': 2 * 1024 ** 3 });
      const push = (): void => {
        while (sent < 2 * 1024 ** 3 && !response.destroyed) {
          sent += chunk.byteLength;
          if (!response.write(chunk)) {
            response.once('drain', push);
            return;
          }
        }
      };
      push();
    });
    expect(found).toMatchObject({ status: 'healthy', message: expect.stringContaining('more than 1.0 MiB') });
    expect(sent).toBeLessThan(256 * 1024 ** 2);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(256 * 1024 ** 2);
  });

  test('what is no HTTP is critical with the reason', async () => {
    const port = await tcpServer((socket) => socket.end('SSH-2.0-nonsense\r\n'));
    const found = await measureOne('http', { url: `http://127.0.0.1:${port}/` });
    expect(found).toMatchObject({
      status: 'critical',
      message: expect.stringContaining('could not be fetched'),
    });
  });
});

describe('addresses that must not be reached', () => {
  const forbidden = addressGuard(deniedByDefault);

  test.each([
    '169.254.169.254',
    '::ffff:169.254.169.254',
    '::ffff:a9fe:a9fe',
    'fe80::1',
    'fe80::1%eth0',
    'fd00:ec2::254',
    '100.100.100.200',
  ])('%s is denied by default', (address) => {
    expect(forbidden(address)).toContain('denied');
  });

  test.each(['127.0.0.1', '10.1.2.3', '::1', '93.184.215.14'])('%s is not', (address) => {
    expect(forbidden(address)).toBeUndefined();
  });

  test.each([
    ['http', { url: 'http://169.254.169.254/latest/meta-data/' }],
    ['http', { url: 'http://[::ffff:169.254.169.254]/' }],
    ['http', { url: 'http://2852039166/' }],
    ['tcp', { host: '169.254.169.254', port: 80 }],
    ['tls', { host: '169.254.169.254' }],
    ['ping', { host: '169.254.169.254' }],
  ])('%s with %j is unknown and nothing is sent', async (check, settings) => {
    const found = await measureOne(check, settings);
    expect(found).toMatchObject({
      status: 'unknown',
      message: expect.stringContaining('must not be checked'),
    });
    expect(found.ms).toBeLessThan(1000);
  });

  test('a name that leads there, and a redirect that does, get no further', async () => {
    let asked = 0;
    const port = await web((request, response) => {
      asked += 1;
      if (request.url === '/') response.writeHead(302, { location: `http://localhost:${port}/secret` }).end();
      else response.end('secret');
    });
    const nowhere = addressGuard(['127.0.0.0/8', '::1/128']);
    const named = await measureOne('http', { url: `http://localhost:${port}/` }, { forbidden: nowhere });
    expect(named).toMatchObject({
      status: 'unknown',
      message: expect.stringContaining('must not be checked'),
    });
    expect(asked).toBe(0);
    // The first address is allowed, the one that it redirects to is not.
    const onlyName = (address: string) => (asked > 0 && address === '127.0.0.1' ? 'not any more' : undefined);
    const led = await measureOne('http', { url: `http://127.0.0.1:${port}/` }, { forbidden: onlyName });
    expect(led).toMatchObject({ status: 'unknown', message: expect.stringContaining('must not be checked') });
    expect(asked).toBe(1);
  });

  test.each(['10.0.0.0/8', 'fe80::/10', '1.2.3.4/32'])('%s is a network', (text) => {
    expect(isNetwork(text)).toBe(true);
  });
  test.each(['10.0.0.0', '10.0.0.0/33', 'fe80::/129', 'x/8', '1.2.3.4/5/6', '1.2.3.4/-1'])(
    '%s is none',
    (text) => {
      expect(isNetwork(text)).toBe(false);
    },
  );
});

/** A server whose queue of connections is full: the system drops whatever comes for it. */
async function fullServer(): Promise<number> {
  const code = `const s = require('net').createServer().listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => {
    process.stdout.write(String(s.address().port)); process.kill(process.pid, 'SIGSTOP'); });`;
  const child: ChildProcess = spawn(process.execPath, ['-e', code], { stdio: ['ignore', 'pipe', 'inherit'] });
  onTestFinished(() => void child.kill('SIGKILL'));
  const [data] = (await once(child.stdout as NodeJS.ReadableStream, 'data')) as [Buffer];
  const port = Number(data.toString());
  for (let n = 0; n < 16; n += 1) {
    const socket = connect({ host: '127.0.0.1', port });
    socket.on('error', () => {});
    onTestFinished(() => void socket.destroy());
    const answered = await Promise.race([
      once(socket, 'connect').then(() => true),
      new Promise<false>((resolve) => setTimeout(() => resolve(false), 300)),
    ]);
    if (!answered) break;
  }
  return port;
}

describe('tcp', () => {
  test('a port that takes connections is healthy, one that refuses them critical', async () => {
    const port = await tcpServer();
    expect(await measureOne('tcp', { host: '127.0.0.1', port })).toMatchObject({
      status: 'healthy',
      instance: `127.0.0.1:${port}`,
    });
    expect(await measureOne('tcp', { host: '127.0.0.1', port: 1 })).toMatchObject({
      status: 'critical',
      message: expect.stringContaining('ECONNREFUSED'),
    });
  });

  test('a host that drops packets is critical in time', async () => {
    const port = await fullServer();
    const found = await measureOne('tcp', { host: '127.0.0.1', port, timeoutSeconds: 0.5 });
    expect(found).toMatchObject({
      status: 'critical',
      message: expect.stringContaining('no answer within 0.5 s'),
    });
    expect(found.ms).toBeLessThan(1500);
  });

  test('is asked whether it says what it should', async () => {
    const smtp = await tcpServer((socket) => socket.write('220 mail ESMTP\r\n'));
    const mute = await tcpServer();
    const wrong = await tcpServer((socket) => socket.end('554 go away\r\n'));
    const expecting = { host: '127.0.0.1', expect: '220 ', timeoutSeconds: 0.5 };
    expect(await measureOne('tcp', { ...expecting, port: smtp })).toMatchObject({ status: 'healthy' });
    expect(await measureOne('tcp', { ...expecting, port: mute })).toMatchObject({
      status: 'critical',
      message: expect.stringContaining('did not say it within'),
    });
    expect(await measureOne('tcp', { ...expecting, port: wrong })).toMatchObject({
      status: 'critical',
      message: expect.stringContaining('said something else'),
    });
  });

  test('a name that does not exist is critical with the reason', async () => {
    const found = await measureOne('tcp', { host: 'no-such-host.invalid', port: 80 });
    expect(found).toMatchObject({
      status: 'critical',
      message: expect.stringMatching(/ENOTFOUND|EAI_AGAIN/),
    });
  });
});

test('ping tells latency and loss, and of a name that does not exist nothing', async () => {
  expect(await measureOne('ping', { host: '127.0.0.1', count: 2 })).toMatchObject({
    status: 'healthy',
    values: [
      { name: 'latency', value: expect.any(Number) },
      { name: 'loss', value: 0 },
    ],
  });
  expect(await measureOne('ping', { host: 'no-such-host.invalid', count: 1 })).toMatchObject({
    status: 'unknown',
    message: expect.stringContaining('could not be pinged'),
  });
});

const day = 86_400_000;

async function certificate(days: number, options: { name?: string; since?: number } = {}) {
  return generate([{ name: 'commonName', value: options.name ?? 'localhost' }], {
    notBeforeDate: new Date(Date.now() - (options.since ?? 400) * day),
    notAfterDate: new Date(Date.now() + days * day),
    keySize: 2048,
    extensions: [
      { name: 'subjectAltName', altNames: [{ type: 2, value: options.name ?? 'localhost' }] },
      { name: 'basicConstraints', cA: true },
    ],
  });
}

async function tlsOf(made: Awaited<ReturnType<typeof certificate>>, settings: object = {}) {
  const port = await listening(createTls({ key: made.private, cert: made.cert }));
  return measureOne('tls', { host: '127.0.0.1', servername: 'localhost', port, ...settings });
}

describe('tls', () => {
  test('a certificate that is trusted for the name is healthy with the days it holds', async () => {
    const made = await certificate(90.5);
    const before = getCACertificates('default');
    setDefaultCACertificates([...before, made.cert]);
    onTestFinished(() => setDefaultCACertificates(before));
    expect(await tlsOf(made)).toMatchObject({ status: 'healthy', values: [{ name: 'days', value: 90 }, {}] });
    expect(await tlsOf(made, { servername: 'other.example' })).toMatchObject({
      status: 'critical',
      message: expect.stringContaining('it is not for other.example'),
    });
  });

  test('one that nobody vouches for is critical, or will do by setting', async () => {
    const made = await certificate(90.5);
    expect(await tlsOf(made)).toMatchObject({
      status: 'critical',
      message: expect.stringContaining('self-signed'),
    });
    expect(await tlsOf(made, { selfSigned: true })).toMatchObject({ status: 'healthy' });
  });

  test('one that has expired is critical in any case', async () => {
    const found = await tlsOf(await certificate(-2.5), { selfSigned: true });
    expect(found).toMatchObject({ status: 'critical', message: expect.stringContaining('has expired') });
    expect(found.values[0]?.value).toBe(-3);
  });

  test('a server that speaks no TLS, or nothing at all, is critical in time', async () => {
    const plain = await tcpServer((socket) => socket.end('220 hello\r\n'));
    expect(await measureOne('tls', { host: '127.0.0.1', port: plain })).toMatchObject({
      status: 'critical',
      message: expect.stringContaining('no secure connection'),
    });
    const mute = await tcpServer();
    expect(await measureOne('tls', { host: '127.0.0.1', port: mute, timeoutSeconds: 0.5 })).toMatchObject({
      status: 'critical',
      message: expect.stringContaining('no answer within 0.5 s'),
    });
  });
});

/** A name server on loopback that answers as it is told. */
async function nameServer(answer: (name: string, type: string) => Packet['answers']): Promise<number> {
  const socket = createSocket('udp4');
  socket.on('message', (data, from) => {
    const query = decode(data);
    const [question] = query.questions ?? [];
    const answers = question ? answer(question.name, question.type) : [];
    if (answers === undefined) return;
    socket.send(
      encode({
        type: 'response',
        id: query.id ?? 0,
        flags: 0x0180,
        questions: query.questions ?? [],
        answers,
      }),
      from.port,
    );
  });
  socket.bind(0, '127.0.0.1');
  onTestFinished(() => void socket.close());
  await once(socket, 'listening');
  return socket.address().port;
}

describe('dns', () => {
  const records = (name: string, type: string): Packet['answers'] => {
    if (type === 'A') return [{ type: 'A', name, ttl: 60, data: '192.0.2.7' }];
    if (type === 'MX')
      return [{ type: 'MX', name, ttl: 60, data: { preference: 10, exchange: 'mail.example.com' } }];
    if (type === 'TXT') return [{ type: 'TXT', name, ttl: 60, data: ['v=spf1 ', '-all'] }];
    return [];
  };

  test.each([
    ['A', ['192.0.2.7'], 'healthy', '192.0.2.7'],
    ['A', ['192.0.2.8'], 'critical', '192.0.2.8 is not among it'],
    ['MX', ['mail.example.com. 10'], 'critical', 'is not among it'],
    ['TXT', ['v=spf1 -all'], 'healthy', 'v=spf1 -all'],
    ['AAAA', undefined, 'critical', "can't be resolved"],
  ])('%s with %j expected is %s', async (type, expect_, status, words) => {
    const server = `127.0.0.1:${await nameServer(records)}`;
    const found = await measureOne('dns', {
      name: 'example.com',
      type,
      server,
      ...(expect_ ? { expect: expect_ } : {}),
    });
    expect(found).toMatchObject({ status, message: expect.stringContaining(words) });
  });

  test('a server that does not answer is critical in time', async () => {
    const server = `127.0.0.1:${await nameServer(() => undefined)}`;
    const found = await measureOne('dns', { name: 'example.com', server, timeoutSeconds: 0.5 });
    expect(found).toMatchObject({ status: 'critical', message: expect.stringContaining('within 0.5 s') });
    expect(found.ms).toBeLessThan(2000);
  });
});

test('several settings of one check are measured side by side', async () => {
  const port = await tcpServer();
  const began = performance.now();
  const mute = await tcpServer();
  const slow = { host: '127.0.0.1', port: mute, expect: 'never', timeoutSeconds: 0.6 };
  const found = await measure('tcp', [{ host: '127.0.0.1', port }, slow, { ...slow, expect: 'no' }]);
  expect(found.map((m) => m.status)).toEqual(['healthy', 'critical', 'critical']);
  expect(new Set(found.map((m) => m.instance)).size).toBe(3);
  expect(performance.now() - began).toBeLessThan(1500);
});
