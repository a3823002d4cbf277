import { z } from 'zod';
import { clientIdSchema } from '../../../domain/client.ts';
import { jobStepSchema } from '../../../domain/job.ts';
import { adds, assertNotFailed, awaitJob, defineTool, jobOutput, stateLine, waitInput } from '../tool.ts';

export const clientOnboard = defineTool(
  {
    name: 'client_onboard',
    title: 'Onboard a client',
    description:
      'Takes a registered client in by a template: record, device discovery, first health check, activation and more. Each step leaves evidence; a step that cannot be done here is skipped with the reason.',
    input: {
      clientId: clientIdSchema.describe('The client, as client_list names it.'),
      template: z
        .string()
        .default('basic')
        .describe('basic, standard-business, enterprise, or one of your own.'),
      ...waitInput,
    },
    output: { job: jobOutput, clientId: z.string(), template: z.string(), steps: z.array(jobStepSchema) },
    annotations: adds,
  },
  async (context, { clientId, template, ...wish }) => {
    const started = await context.toolkit.clients.onboard(clientId, template);
    const job = await awaitJob(context, started, wish);
    assertNotFailed(job);
    const { steps } = await context.toolkit.jobs.get(job.id);
    const lines = steps.map(
      (s) => `- ${s.name}: ${s.status}${s.evidence['reason'] ? ` (${String(s.evidence['reason'])})` : ''}`,
    );
    return { structured: { job, clientId, template, steps }, text: [stateLine(job), ...lines].join('\n') };
  },
);
