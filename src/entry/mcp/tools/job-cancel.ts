import { z } from 'zod';
import { jobSchema } from '../../../domain/job.ts';
import { defineTool, stateLine } from '../tool.ts';

export const jobCancel = defineTool(
  {
    name: 'job_cancel',
    title: 'Cancel a job',
    description: 'Stops a job that has not ended. One that is running is told to stop and may take a moment.',
    input: { jobId: z.string() },
    output: { job: jobSchema },
    annotations: { readOnlyHint: false, destructiveHint: true, idempotentHint: true, openWorldHint: false },
  },
  async ({ toolkit }, { jobId }) => {
    const job = await toolkit.jobs.cancel(jobId);
    return { structured: { job }, text: stateLine(job) };
  },
);
