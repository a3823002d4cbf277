import { z } from 'zod';
import { scheduleSchema } from '../../../domain/schedule.ts';
import { defineTool, reads } from '../tool.ts';

export const scheduleList = defineTool(
  {
    name: 'schedule_list',
    title: 'List schedules',
    description: 'Lists the recurring jobs: when each runs next, when it last ran, and what it does.',
    input: {},
    output: { schedules: z.array(scheduleSchema) },
    annotations: reads,
  },
  async ({ toolkit }) => {
    const schedules = await toolkit.schedules.list();
    const lines = schedules.map(
      (s) =>
        `- ${s.name}: ${s.jobType} at "${s.cron}" (${s.timezone}), ${s.paused ? 'paused' : `next ${s.nextRunAt ?? 'never'}`}, last ${s.lastRunAt ?? 'never'}`,
    );
    return { structured: { schedules }, text: lines.join('\n') || 'There are no schedules.' };
  },
);
