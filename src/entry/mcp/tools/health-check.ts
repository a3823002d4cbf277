import { z } from 'zod';
import { checkResultSchema, statuses, summarySchema } from '../../../domain/check/check.ts';
import { clientIdSchema } from '../../../domain/client.ts';
import { catalogue } from '../../../workers/probes/index.ts';
import { adds, assertNotFailed, awaitJob, defineTool, jobOutput, stateLine, waitInput } from '../tool.ts';

const found = z.object({
  status: z.enum(statuses),
  summary: summarySchema,
  results: z.array(checkResultSchema),
});

export const healthCheck = defineTool(
  {
    name: 'health_check',
    title: 'Check the health of a client',
    description:
      'Measures every device of a client now and records the results. A device that nothing can measure is unknown, with the reason.',
    input: {
      clientId: clientIdSchema.describe('The client, as client_list names it.'),
      checks: z
        .array(z.enum(catalogue.map((type) => type.name)))
        .min(1)
        .optional()
        .describe('Only these checks.'),
      ...waitInput,
    },
    output: {
      job: jobOutput,
      clientId: z.string(),
      found: found.nullable().describe('null while the job runs'),
    },
    annotations: adds,
  },
  async (context, { clientId, checks, ...wish }) => {
    const started = await context.toolkit.health.check(clientId, checks ? { checks } : {});
    const job = await awaitJob(context, started, wish);
    assertNotFailed(job);
    const result = job.state === 'succeeded' ? await started.result() : null;
    const lines = result?.results.map(
      (r) => `- ${r.deviceId} ${r.check}${r.instance ? ` ${r.instance}` : ''}: ${r.status}, ${r.message}`,
    );
    return {
      structured: { job, clientId, found: result && found.parse(result) },
      text: [result ? `${clientId} is ${result.status}.` : stateLine(job), ...(lines ?? [])].join('\n'),
    };
  },
);
