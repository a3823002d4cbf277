import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { hostname } from 'node:os';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, onTestFinished } from 'vitest';
import { until } from '../support/home.ts';
import { clientHere, testToolkit } from '../support/toolkit.ts';
import { faultTest, full } from './support/fault.ts';
import { countBy } from './support/world.ts';

/** An SMTP server that takes each message once and drops the connection before it says so; then it behaves. */
async function droppingServer(): Promise<{ port: number; ids: string[] }> {
  const ids: string[] = [];
  const server = createServer((socket) => {
    let data = '';
    let inData = false;
    socket.on('error', () => {});
    socket.write('220 dropping\r\n');
    socket.on('data', (chunk: Buffer) => {
      data += chunk.toString();
      if (!inData) {
        for (;;) {
          const end = data.indexOf('\r\n');
          if (end < 0) return;
          const line = data.slice(0, end);
          data = data.slice(end + 2);
          if (/^DATA/i.test(line)) {
            inData = true;
            socket.write('354 go on\r\n');
            break;
          }
          socket.write(/^QUIT/i.test(line) ? '221 bye\r\n' : '250 ok\r\n');
        }
      }
      if (!data.includes('\r\n.\r\n')) return;
      const id = /^message-id:\s*(\S+)/im.exec(data)?.[1] ?? '';
      const first = !ids.includes(id);
      ids.push(id);
      data = '';
      inData = false;
      if (first) socket.destroy();
      else socket.write('250 taken\r\n');
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  return { port: (server.address() as AddressInfo).port, ids };
}

faultTest('droppedMail', { short: 120_000, full: 240_000 }, async ({ figures }) => {
  const { port, ids } = await droppingServer();
  const { toolkit } = await testToolkit({ mail: { host: '127.0.0.1', port, from: 'r@msp.example' } });
  const { clientId } = await clientHere(toolkit);
  await toolkit.startWorkers();
  const count = full ? 100 : 10;
  const wish = { clientId, template: 'health-report', format: 'markdown' } as const;
  const { report } = await (await toolkit.reports.generate(wish)).result();
  const sent = await Promise.all(
    Array.from({ length: count }, (_, n) => toolkit.reports.send(report.id, `it-${n}@acme.example`)),
  );
  await Promise.all(sent.map((started) => started.result()));
  const copies = countBy(ids);
  const { deliveries } = await toolkit.reports.get(report.id);
  const engine = await toolkit.parts.engine();
  const flagged = sent.filter(({ job }) =>
    engine.logs(job.id).some(({ level, message }) => level === 'warn' && message.includes('sending again')),
  );
  figures['messages'] = copies.size;
  figures['copies at most'] = Math.max(...copies.values());
  figures['flagged'] = flagged.length;
  expect(copies.size).toBe(count);
  expect(Math.max(...copies.values())).toBe(2);
  expect(deliveries.every(({ state, tries }) => state === 'sent' && tries === 2)).toBe(true);
  expect(new Set(deliveries.map(({ messageId }) => messageId))).toEqual(new Set(copies.keys()));
  expect(flagged).toHaveLength(count);
  expect(deliveries.every(({ response }) => response?.includes('an earlier copy may have arrived'))).toBe(
    true,
  );
});

/**
 * Processes of the browser below this one, and whether each is a zombie of ours. One below a living browser is that one's
 * to bury, and is gone with it at the latest.
 */
function browsers(): { pid: number; zombie: boolean }[] {
  const lines = execFileSync('ps', ['-eo', 'pid=,ppid=,stat=,comm=,args='], { encoding: 'utf8' }).split('\n');
  const rows = lines.flatMap((line) => {
    const [pid, ppid, stat, comm] = line.trim().split(/\s+/);
    return pid && ppid
      ? [
          {
            pid: Number(pid),
            ppid: Number(ppid),
            zombie: Number(ppid) === process.pid && stat?.startsWith('Z') === true,
            comm,
          },
        ]
      : [];
  });
  const below = new Set([process.pid]);
  for (const row of rows) if (below.has(row.ppid)) below.add(row.pid);
  return rows.filter(({ pid, comm }) => below.has(pid) && comm?.startsWith('chrom'));
}

/** What this process holds after everything has been collected that nobody needs. */
function heldMb(): number {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
  const { heapUsed, external } = process.memoryUsage();
  return (heapUsed + external) / 1024 ** 2;
}

faultTest('killedBrowser', { short: 150_000, full: 600_000 }, async ({ chance, figures }) => {
  const { toolkit } = await testToolkit();
  await toolkit.clients.add({ name: 'Acme', id: 'acme' });
  await toolkit.devices.add({ clientId: 'acme', name: hostname() });
  await toolkit.startWorkers();
  const wish = { clientId: 'acme', template: 'health-report' };
  const kills = full ? 20 : 3;
  let killed = 0;
  for (let n = 0; n < kills; n += 1) {
    const started = await toolkit.reports.generate(wish);
    const { job } = started;
    const engine = await toolkit.parts.engine();
    await until('it runs', () => engine.get(job.id).state === 'running');
    await until('the browser is there', () => browsers().length > 0);
    // Somewhere between the first byte of HTML and the last of the PDF.
    await new Promise((resolve) => setTimeout(resolve, chance.below(120)));
    // Any of its processes: each brings a page, or all of them, down.
    const victim = chance.pick(browsers());
    try {
      process.kill(victim.pid, 'SIGKILL');
      killed += 1;
    } catch {
      // It had ended by itself.
    }
    const { report } = await started.result();
    expect(report.bytes).toBeGreaterThan(5000);
  }
  const pdfs = full ? 500 : 30;
  const memory: number[] = [];
  for (let n = 0; n < pdfs; n += 10) {
    await Promise.all(
      Array.from({ length: 10 }, async () => (await toolkit.reports.generate(wish)).result()),
    );
    memory.push(heldMb());
  }
  const jobs = await toolkit.jobs.list({ limit: 10_000 });
  figures['browser processes killed'] = killed;
  figures['PDFs'] = pdfs;
  figures['jobs that did not succeed'] = jobs.filter(({ state }) => state !== 'succeeded').length;
  const third = Math.floor(memory.length / 3);
  const mean = (list: number[]) => list.reduce((a, b) => a + b, 0) / list.length;
  figures['memory, last third to second third'] =
    Math.round((mean(memory.slice(-third)) / mean(memory.slice(third, 2 * third))) * 100) / 100;
  await toolkit.close(5000);
  // Node hears of an end a moment after it.
  await until('nothing is left', () => browsers().length === 0, 5000).catch(() => {});
  figures['zombies'] = browsers().filter(({ zombie }) => zombie).length;
  figures['browser processes left'] = browsers().length;
  expect(figures).toMatchObject({
    'jobs that did not succeed': 0,
    zombies: 0,
    'browser processes left': 0,
  });
  if (full) expect(figures['memory, last third to second third']).toBeLessThanOrEqual(1.1);
});
