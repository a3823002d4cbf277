import { z } from 'zod';
import { clientIdSchema } from '../../../domain/client.ts';
import { deviceSchema } from '../../../domain/device.ts';
import { defineTool, reads } from '../tool.ts';

export const deviceList = defineTool(
  {
    name: 'device_list',
    title: 'List devices',
    description: 'Lists the devices of one client or of all.',
    input: { clientId: clientIdSchema.optional().describe('Only those of this client.') },
    output: { devices: z.array(deviceSchema) },
    annotations: reads,
  },
  async ({ toolkit }, { clientId }) => {
    if (clientId) await toolkit.clients.get(clientId);
    const devices = await toolkit.devices.list(clientId ? { clientId } : {});
    const lines = devices.map((d) => `${d.id}: ${d.name} (${d.type}, client ${d.clientId})`);
    return { structured: { devices }, text: lines.join('\n') || 'There are no devices.' };
  },
);
