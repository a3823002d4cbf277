import { z } from 'zod';
import { checkResultSchema } from '../../../domain/check/check.ts';
import { clientIdSchema } from '../../../domain/client.ts';
import { catalogue } from '../../../workers/probes/index.ts';
import { defineTool, reads } from '../tool.ts';

export const healthHistory = defineTool(
  {
    name: 'health_history',
    title: 'Health history',
    description: 'What was measured at a client in the last days, newest first.',
    input: {
      clientId: clientIdSchema.describe('The client, as client_list names it.'),
      days: z.int().min(1).max(366).default(7),
      check: z
        .enum(catalogue.map((type) => type.name))
        .optional()
        .describe('Only this check.'),
      limit: z.int().min(1).max(1000).default(200).describe('At most so many results.'),
    },
    output: { results: z.array(checkResultSchema), total: z.number().describe('How many there are in all.') },
    annotations: reads,
  },
  async ({ toolkit }, { clientId, days, check, limit }) => {
    const all = await toolkit.health.history(clientId, { days, ...(check ? { check } : {}) });
    const results = all.toReversed().slice(0, limit);
    const lines = results.map(
      (r) =>
        `${r.at} ${r.deviceId} ${r.check}: ${r.status}${r.value === null ? '' : ` (${r.value} ${r.unit ?? ''})`}`,
    );
    return {
      structured: { results, total: all.length },
      text: lines.join('\n') || `No data: nothing was measured in the last ${days} days.`,
    };
  },
);
