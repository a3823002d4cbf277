import { writeFileSync } from 'node:fs';
import { mkdir, mkdtemp, readFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { SMTPServer } from 'smtp-server';
import { DomainError } from '../domain/errors.ts';
import type { Log } from '../domain/log.ts';
import type { Started } from './toolkit.ts';
import { openToolkit } from './toolkit.ts';

/** A real SMTP server on loopback that keeps each message as a file. */
async function receiveMail(
  folder: string,
): Promise<{ port: number; received: string[]; close(): Promise<void> }> {
  await mkdir(folder, { recursive: true });
  const received: string[] = [];
  const server = new SMTPServer({
    authOptional: true,
    disabledCommands: ['STARTTLS'],
    onData(stream, _session, done) {
      const parts: Buffer[] = [];
      stream.on('data', (part: Buffer) => parts.push(part));
      stream.on('end', () => {
        const file = join(folder, `message-${received.length + 1}.eml`);
        // Answered only once the message is kept, as a mail server must.
        writeFileSync(file, Buffer.concat(parts));
        received.push(file);
        done();
      });
    },
  });
  await new Promise<void>((resolve, reject) => {
    server.server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  return {
    port: (server.server.address() as AddressInfo).port,
    received,
    close: () => new Promise((resolve) => server.close(() => resolve())),
  };
}

export interface DemoResult {
  home: string;
  pdf: string;
  message: string;
  figures: { check: string; status: string; finding: string }[];
  next: string[];
}

/**
 * The main job of the product on this machine: register, onboard, check, report, mail; each step a job through a
 * private Redis. Everything is in a scratch home of its own, which stays for a look.
 */
export async function runDemo(options: {
  environment: Record<string, string | undefined>;
  log: Log;
  signal: AbortSignal;
  say(text: string): void;
  follow<R>(started: Started<R>, title: string): Promise<R>;
}): Promise<DemoResult> {
  const { say, follow } = options;
  const home = await mkdtemp(join(tmpdir(), 'msp-demo-'));
  // Settings of this machine's real home have no part in a demonstration.
  const environment = Object.fromEntries(
    Object.entries(options.environment).filter(([name]) => !name.startsWith('MSP_')),
  );
  const mail = await receiveMail(join(home, 'received'));
  const toolkit = await openToolkit({
    home,
    environment,
    actor: 'demo',
    log: options.log,
    config: {
      general: { companyName: 'Your MSP', timezone: Intl.DateTimeFormat().resolvedOptions().timeZone },
      healthChecks: { networkTargets: [`127.0.0.1:${mail.port}`] },
      mail: { host: '127.0.0.1', port: mail.port, from: 'Your MSP <reports@msp.example>' },
    },
  });
  try {
    say(`Scratch home: ${home}\n`);
    const client = await toolkit.clients.add({
      name: 'First Client Ltd',
      tier: 'gold',
      contactEmail: 'it@first-client.example',
    });
    say(`Registered the client ${client.name} (${client.id}).`);
    const device = await toolkit.devices.add({
      clientId: client.id,
      name: hostname(),
      type: 'server',
      metadata: { services: ['redis-server'] },
    });
    say(`Registered this machine, ${device.name}, as its first device.\n`);

    const onboarded = await follow(await toolkit.clients.onboard(client.id, 'basic'), 'Onboarding (basic)');
    for (const step of onboarded.steps) {
      const reason = step.evidence['reason'];
      say(`    ${step.name.padEnd(16)} ${step.status}${typeof reason === 'string' ? `: ${reason}` : ''}`);
    }
    const checked = await follow(await toolkit.health.check(client.id), 'Health check');
    const figures = checked.results.map((r) => ({
      check: r.instance ? `${r.check} ${r.instance}` : r.check,
      status: r.status,
      finding: `${r.value === null ? '' : `${r.value} ${r.unit}: `}${r.message}`,
    }));
    const recipient = client.contactEmail ?? '';
    const written = await follow(
      await toolkit.reports.generate({
        clientId: client.id,
        template: 'monthly-summary',
        format: 'pdf',
        email: recipient,
      }),
      'PDF report',
    );
    const sending = await toolkit.jobs.get(written.sendJobId ?? '');
    const sent = await follow(
      {
        job: sending,
        done: (wait) => toolkit.jobs.wait(sending.id, wait),
        async result(wait) {
          const job = await toolkit.jobs.wait(sending.id, wait);
          if (job.state !== 'succeeded')
            throw new DomainError('JOB_FAILED', job.error?.message ?? `The mail is ${job.state}.`);
          return job;
        },
      },
      `Mail to ${recipient}`,
    );
    const [message] = mail.received;
    const pdf = written.report.path;
    if (
      !message ||
      !(await readFile(message, 'utf8')).includes('application/pdf') ||
      sent.state !== 'succeeded'
    ) {
      throw new DomainError('INTERNAL', 'The mail did not arrive with the report.');
    }
    const at = `MSP_HOME=${home} npx msp-toolkit`;
    return {
      home,
      pdf,
      message,
      figures,
      next: [
        `${at} health check ${client.id}`,
        `${at} report generate ${client.id} --template sla-compliance --format html`,
        `${at} job list`,
      ],
    };
  } finally {
    const { link } = await toolkit.parts.engine();
    await toolkit.close(5000);
    await link.stopServer();
    await mail.close();
  }
}
