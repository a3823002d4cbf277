import { deviceInputSchema, deviceSchema } from '../../../domain/device.ts';
import { adds, defineTool } from '../tool.ts';

export const deviceAdd = defineTool(
  {
    name: 'device_add',
    title: 'Add a device',
    description:
      'Registers a device of a client. A device with the name of the host that the toolkit runs on is measured there.',
    input: deviceInputSchema.shape,
    output: { device: deviceSchema },
    annotations: adds,
  },
  async ({ toolkit }, input) => {
    const device = await toolkit.devices.add(input);
    return { structured: { device }, text: `Added ${device.name} to ${device.clientId} as ${device.id}.` };
  },
);
