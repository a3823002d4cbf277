import { z } from 'zod';
import { clientSchema, clientStatuses, tiers } from '../../../domain/client.ts';
import { defineTool, reads } from '../tool.ts';

export const clientList = defineTool(
  {
    name: 'client_list',
    title: 'List clients',
    description: 'Lists the client companies, with tier, status and timezone.',
    input: {
      status: z.enum(clientStatuses).optional().describe('Only those with this status.'),
      tier: z.enum(tiers).optional().describe('Only those of this tier.'),
    },
    output: { clients: z.array(clientSchema) },
    annotations: reads,
  },
  async ({ toolkit }, { status, tier }) => {
    const clients = await toolkit.clients.list({ ...(status ? { status } : {}), ...(tier ? { tier } : {}) });
    const lines = clients.map((c) => `${c.id}: ${c.name} (${c.tier}, ${c.status})`);
    return { structured: { clients }, text: lines.join('\n') || 'There are no clients.' };
  },
);
