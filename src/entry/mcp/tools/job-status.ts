import { z } from 'zod';
import { jobSchema, jobStepSchema } from '../../../domain/job.ts';
import { defineTool, reads, stateLine } from '../tool.ts';

export const jobStatus = defineTool(
  {
    name: 'job_status',
    title: 'State of a job',
    description: 'Tells how a job stands: state, progress, steps, result or error.',
    input: { jobId: z.string().describe('The job, as the tool that started it named it.') },
    output: { job: jobSchema, steps: z.array(jobStepSchema) },
    annotations: reads,
  },
  async ({ toolkit }, { jobId }) => {
    const { steps, ...job } = await toolkit.jobs.get(jobId);
    const progress = job.progress ? ` ${job.progress.percent} %: ${job.progress.message}` : '';
    return {
      structured: { job, steps },
      text: `${stateLine(job)}${progress}${job.error ? ` ${job.error.message}` : ''}`,
    };
  },
);
