import { z } from 'zod';
import { isFinal, jobSchema } from '../../../domain/job.ts';
import { awaitJob, defineTool, reads, stateLine } from '../tool.ts';

export const jobWait = defineTool(
  {
    name: 'job_wait',
    title: 'Wait for a job',
    description: 'Waits until a job has ended, up to a limit; the job goes on if the limit comes first.',
    input: { jobId: z.string(), timeoutSeconds: z.int().min(1).max(600).default(60) },
    output: { job: jobSchema, ended: z.boolean() },
    annotations: reads,
  },
  async (context, { jobId, timeoutSeconds }) => {
    const { steps: _steps, ...before } = await context.toolkit.jobs.get(jobId);
    const started = { job: before, done: (options = {}) => context.toolkit.jobs.wait(jobId, options) };
    const job = await awaitJob(context, started, { wait: true, timeoutSeconds });
    return { structured: { job, ended: isFinal(job.state) }, text: stateLine(job) };
  },
);
