import { z } from 'zod';
import { alertSchema, alertStates, severities } from '../../../domain/alert/alert.ts';
import { clientIdSchema } from '../../../domain/client.ts';
import { defineTool, reads } from '../tool.ts';

export const alertList = defineTool(
  {
    name: 'alert_list',
    title: 'List alerts',
    description:
      'Problems that were found and are not resolved, the worst first; with a state, those in it. Each has a fingerprint that stays the same while its values change.',
    input: {
      clientId: clientIdSchema.optional().describe('Only this client.'),
      state: z
        .enum([...alertStates, 'all'])
        .optional()
        .describe('Default: whatever is not resolved.'),
      severity: z.enum(severities).optional(),
      limit: z.int().min(1).max(500).default(100),
    },
    output: { alerts: z.array(alertSchema) },
    annotations: reads,
  },
  async ({ toolkit }, wish) => {
    const alerts = await toolkit.alerts.list(wish);
    const names = new Map((await toolkit.devices.list()).map((d) => [d.id, d.name]));
    const lines = alerts.map(
      (a) =>
        `- ${a.id} ${a.severity} (${a.state}) ${a.clientId}: ${names.get(a.deviceId) ?? a.deviceId} ${a.check}${a.instance ? ` ${a.instance}` : ''}: ${a.message}`,
    );
    return { structured: { alerts }, text: lines.join('\n') || 'There are no such alerts.' };
  },
);
