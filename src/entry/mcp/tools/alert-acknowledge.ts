import { z } from 'zod';
import { alertSchema } from '../../../domain/alert/alert.ts';
import { defineTool } from '../tool.ts';

export const alertAcknowledge = defineTool(
  {
    name: 'alert_acknowledge',
    title: 'Acknowledge an alert',
    description:
      'Says that somebody is at it: nobody is reminded of it until it gets worse, is resolved, or the acknowledgement ends. Who, why and until when are kept in its timeline.',
    input: {
      id: z.string().describe('The alert, as alert_list names it.'),
      note: z.string().trim().min(1).max(1000).describe('Why, or what is being done.'),
      hours: z
        .number()
        .min(0.1)
        .max(720)
        .optional()
        .describe('How long it holds; without it until it is resolved.'),
    },
    output: { alert: alertSchema },
    annotations: { readOnlyHint: false, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  },
  async ({ toolkit }, { id, note, hours }) => {
    const now = toolkit.parts.clock.now().getTime();
    const until = hours === undefined ? undefined : new Date(now + hours * 3_600_000).toISOString();
    const alert = await toolkit.alerts.acknowledge(id, note, until);
    const end = alert.until ? ` until ${alert.until}` : '';
    return { structured: { alert }, text: `The alert ${id} is acknowledged${end}: ${alert.message}` };
  },
);
