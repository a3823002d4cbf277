import { summarize, worst } from '../domain/check/check.ts';
import type { Client } from '../domain/client.ts';
import { nowIso } from '../domain/clock.ts';
import { listDevices } from '../domain/device.ts';
import type { OnboardingAction } from '../domain/onboarding.ts';
import type { JobContext, StepOutcome } from './engine/define.ts';
import { runChecks } from './health-check.ts';
import { reportGenerate } from './report-generate.ts';

type Action = (context: JobContext, client: Client) => Promise<StepOutcome>;

function skipped(reason: string, evidence: Record<string, unknown> = {}): StepOutcome {
  return { status: 'skipped', evidence: { reason, ...evidence } };
}

/** What each step of an onboarding template does. One that can't be done here is skipped and says why. */
export const onboardingActions: Record<OnboardingAction, Action> = {
  'verify-record': async (_context, client) => {
    const missing = client.contactEmail
      ? []
      : ['contactEmail: reports can be mailed only to an address given by hand'];
    return { evidence: { name: client.name, tier: client.tier, timezone: client.timezone, missing } };
  },

  'discover-devices': async (context, client) => {
    const { rmm } = context.ports;
    const [found, known] = await Promise.all([
      rmm.listDevices(client.id, context.signal),
      listDevices(context.storage, { clientId: client.id }),
    ]);
    const facts = known.flatMap((device) => {
      const match = found.find((f) => f.rmmDeviceId === device.rmmDeviceId || f.name === device.name);
      return match ? [{ id: device.id, facts: match.facts }] : [];
    });
    return {
      evidence: {
        source: rmm.name,
        devices: found.map((f) => ({ name: f.name, online: f.online, ...f.facts })),
        notInInventory: found.filter((f) => !known.some((d) => d.name === f.name)).map((f) => f.name),
      },
      record: (tx) => {
        for (const { id, facts: learned } of facts) tx.setDeviceFacts(id, learned);
      },
    };
  },

  'deploy-agents': async (context, client) => {
    const { rmm } = context.ports;
    const answer = await rmm.deployAgent(client.id, context.signal);
    return answer.kind === 'unsupported'
      ? skipped(answer.reason, { rmm: rmm.name })
      : { evidence: { rmm: rmm.name, installer: answer.url } };
  },

  'security-baseline': async () =>
    skipped('no source of security posture (patch level, antivirus, disk encryption) is configured'),

  'verify-backup': async () => skipped('no backup provider is configured'),

  'baseline-check': async (context, client) => {
    const { devices, statuses, record } = await runChecks(context, client.id);
    if (devices === 0) return skipped('the client has no devices yet');
    const evidence: Record<string, unknown> = { devices };
    return {
      evidence,
      record: (tx) => {
        record(tx);
        Object.assign(evidence, { status: worst(statuses()), summary: summarize(statuses()) });
      },
    };
  },

  'baseline-report': async (context, client) => {
    const wish = {
      clientId: client.id,
      template: 'health-report',
      format: 'pdf',
      period: 'last-30-days',
    } as const;
    const { report } = await context.run(reportGenerate, wish, 'baseline-report');
    return { evidence: { report: report.id, path: report.path, bytes: report.bytes } };
  },

  activate: async (context, client) => ({
    evidence: { before: client.status, after: 'active' },
    record: (tx) => {
      tx.setClientStatus(client.id, 'active', nowIso(context.clock));
      tx.addAudit({
        at: nowIso(context.clock),
        actor: `job:${context.job.id}`,
        action: 'client.activate',
        subject: `client:${client.id}`,
        details: { requestedBy: context.job.requestedBy },
      });
    },
  }),

  'punch-list': async (context) => {
    const open = context.storage.read
      .steps(context.job.id)
      .filter((step) => step.status !== 'done')
      .map((step) => ({ step: step.name, status: step.status, ...JSON.parse(step.evidence) }));
    return { evidence: { open } };
  },
};
