import { z } from 'zod';
import { jobSchema, jobStates } from '../../../domain/job.ts';
import { defineTool, reads } from '../tool.ts';

export const jobList = defineTool(
  {
    name: 'job_list',
    title: 'List jobs',
    description: 'Lists what was asked for and how it went, newest first.',
    input: {
      state: z.enum(jobStates).optional(),
      type: z.string().optional().describe('Such as health.check.'),
      clientId: z.string().optional(),
      limit: z.int().min(1).max(200).default(20),
    },
    output: { jobs: z.array(jobSchema) },
    annotations: reads,
  },
  async ({ toolkit }, { state, type, clientId, limit }) => {
    const jobs = await toolkit.jobs.list({
      ...(state ? { state } : {}),
      ...(type ? { type } : {}),
      ...(clientId ? { clientId } : {}),
      limit,
    });
    const lines = jobs.map((j) => `${j.id}: ${j.type} ${j.state}${j.error ? ` (${j.error.message})` : ''}`);
    return { structured: { jobs }, text: lines.join('\n') || 'There are no such jobs.' };
  },
);
