import { z } from 'zod';
import { adds, assertNotFailed, awaitJob, defineTool, jobOutput, stateLine, waitInput } from '../tool.ts';

export const executeWorkflow = defineTool(
  {
    name: 'execute_workflow',
    title: 'Start a job of any type',
    description:
      'Starts a job by the name of its type, such as health.check, client.onboard, report.generate or report.send. Prefer the tool made for it where there is one; a payload that does not fit is refused with what is wrong.',
    input: {
      type: z.string().describe('Job type; an unknown one is answered with those there are.'),
      payload: z.record(z.string(), z.unknown()).default({}).describe('What the job is given.'),
      ...waitInput,
    },
    output: { job: jobOutput },
    annotations: { ...adds, openWorldHint: true },
  },
  async (context, { type, payload, ...wish }) => {
    const job = await awaitJob(context, await context.toolkit.jobs.start(type, payload), wish);
    assertNotFailed(job);
    return { structured: { job }, text: stateLine(job) };
  },
);
