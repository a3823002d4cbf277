import type { Command } from 'commander';
import type { Device } from '../../domain/device.ts';
import { action } from './context.ts';
import { choices, collect, jsonObject, mergedMetadata } from './options.ts';
import { type Output, when } from './output.ts';
import type { Register } from './program.ts';

interface Fields {
  clientId?: string;
  name?: string;
  type?: Device['type'];
  rmmId?: string;
  service?: string[];
  metadata?: Record<string, unknown>;
}

function show(output: Output, device: Device): void {
  output.record([
    ['id', device.id],
    ['client', device.clientId],
    ['name', device.name],
    ['type', device.type],
    ['rmm id', device.rmmDeviceId],
    ['last seen', when(device.lastSeen)],
    ['services', device.metadata.services?.join(', ')],
    ['metadata', JSON.stringify(device.metadata)],
  ]);
}

function fields(command: Command): Command {
  return command
    .addOption(choices('--type <type>', 'what it is', 'deviceTypes'))
    .option('--rmm-id <id>', 'its id in the RMM; an empty one removes it')
    .option('--service <name>', 'a service that must run there; may be given several times', collect)
    .option(
      '--metadata <json>',
      'a JSON object: address, checks, thresholds, dependsOn and your own; what is not named stays, null takes away',
      jsonObject,
    );
}

function given(own: Fields, before: Device['metadata']) {
  const metadata =
    own.metadata !== undefined || own.service !== undefined
      ? mergedMetadata(before, { ...own.metadata, ...(own.service ? { services: own.service } : {}) })
      : undefined;
  return {
    ...(own.type !== undefined ? { type: own.type } : {}),
    ...(own.rmmId !== undefined ? { rmmDeviceId: own.rmmId || null } : {}),
    ...(metadata !== undefined ? { metadata } : {}),
  };
}

export const register: Register = (program, lifecycle) => {
  const device = program.command('device').description('the machines of clients');

  device
    .command('list')
    .description('list devices')
    .option('--client-id <id>', 'only those of this client')
    .action(
      action(lifecycle, async (context, _args, own: { clientId?: string }) => {
        const toolkit = await context.toolkit();
        if (own.clientId) await toolkit.clients.get(own.clientId);
        const devices = await toolkit.devices.list(own);
        context.output.data(devices, () =>
          context.output.table(
            ['ID', 'CLIENT', 'NAME', 'TYPE', 'RMM ID', 'LAST SEEN'],
            devices.map((d) => [d.id, d.clientId, d.name, d.type, d.rmmDeviceId, when(d.lastSeen)]),
            'No devices yet. Add one with: msp-toolkit device add --client-id ID --name HOST',
          ),
        );
      }),
    );

  fields(
    device
      .command('add')
      .description('register a device; one with the name of this host is measured here')
      .requiredOption('--client-id <id>', 'whose it is')
      .requiredOption('--name <host>', 'its host name'),
  )
    .addHelpText(
      'after',
      '\nExample:\n  msp-toolkit device add --client-id acme-corp --name "$(hostname)" --type server --service sshd',
    )
    .action(
      action(lifecycle, async (context, _args, own: Fields) => {
        const added = await (
          await context.toolkit()
        ).devices.add({
          clientId: own.clientId ?? '',
          name: own.name ?? '',
          ...given(own, {}),
        });
        context.output.data(added, () => show(context.output, added));
      }),
    );

  device
    .command('show')
    .description('show a device')
    .argument('<id>')
    .action(
      action(lifecycle, async (context, [id]) => {
        const found = await (await context.toolkit()).devices.get(String(id));
        context.output.data(found, () => show(context.output, found));
      }),
    );

  fields(
    device
      .command('update')
      .description('change a device')
      .argument('<id>')
      .option('--name <host>', 'its host name'),
  ).action(
    action(lifecycle, async (context, [id], own: Fields) => {
      const toolkit = await context.toolkit();
      const before = await toolkit.devices.get(String(id));
      const updated = await toolkit.devices.update(before.id, {
        ...(own.name !== undefined ? { name: own.name } : {}),
        ...given(own, before.metadata),
      });
      context.output.data(updated, () => show(context.output, updated));
    }),
  );

  device
    .command('remove')
    .description('remove a device with its results')
    .argument('<id>')
    .option('--yes', "don't ask")
    .action(
      action(lifecycle, async (context, [id], own: { yes?: boolean }) => {
        const toolkit = await context.toolkit();
        const found = await toolkit.devices.get(String(id));
        await context.confirm(
          `Remove the device "${found.name}" of ${found.clientId} with all its results?`,
          own.yes,
        );
        const removed = await toolkit.devices.remove(found.id);
        context.output.data(removed, () => context.output.line(`Removed ${removed.id}.`));
      }),
    );
};
