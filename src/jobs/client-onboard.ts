import { z } from 'zod';
import { clientIdSchema, getClient } from '../domain/client.ts';
import { jobStepSchema } from '../domain/job.ts';
import { readTemplate } from '../domain/onboarding.ts';
import { defineJob, type JobContext, type Outcome } from './engine/define.ts';
import { onboardingActions } from './onboarding-actions.ts';

const payload = z.strictObject({
  clientId: clientIdSchema,
  template: z.string().regex(/^[a-z0-9-]{1,100}$/),
});

const result = z.object({ clientId: z.string(), template: z.string(), steps: z.array(jobStepSchema) });

/** Takes a client in, step by step, as its template says. A retry goes on after the last finished step. */
export const clientOnboard = defineJob(
  {
    type: 'client.onboard',
    queue: 'general',
    payload,
    result,
    attempts: 5,
    backoffMs: 2000,
    timeoutMs: 300_000,
  },
  onboard,
);

async function onboard(
  context: JobContext,
  wish: z.infer<typeof payload>,
): Promise<Outcome<z.infer<typeof result>>> {
  const client = await getClient(context.storage, wish.clientId);
  const template = await readTemplate(context.ports.onboarding, wish.template);
  for (const [index, step] of template.steps.entries()) {
    context.progress(Math.round((index / template.steps.length) * 100), step.name);
    await context.step(step.name, () => onboardingActions[step.action](context, client));
  }
  const steps = context.storage.read.steps(context.job.id).map((row) => ({
    name: row.name,
    status: row.status,
    evidence: JSON.parse(row.evidence),
    startedAt: row.started_at,
    finishedAt: row.finished_at,
  }));
  return { result: { clientId: client.id, template: template.name, steps } };
}
