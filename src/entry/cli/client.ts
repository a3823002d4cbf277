import type { Command } from 'commander';
import { Option } from 'commander';
import { action } from './context.ts';
import { choices, jsonObject, mergedMetadata } from './options.ts';
import type { Client } from '../../domain/client.ts';
import type { Output } from './output.ts';
import { when } from './output.ts';
import type { Register } from './program.ts';
import { withJob } from './started.ts';

function show(output: Output, client: Client): void {
  output.record([
    ['id', client.id],
    ['name', client.name],
    ['status', client.status],
    ['tier', client.tier],
    ['e-mail', client.contactEmail],
    ['timezone', client.timezone],
    ['metadata', JSON.stringify(client.metadata)],
    ['created', when(client.createdAt)],
    ['updated', when(client.updatedAt)],
  ]);
}

function fields(command: Command): Command {
  return command
    .addOption(choices('--tier <tier>', 'service tier', 'tiers'))
    .option('--email <address>', 'contact address; an empty one removes it')
    .option('--timezone <zone>', 'IANA timezone, such as Europe/Berlin')
    .option(
      '--metadata <json>',
      'a JSON object: thresholds, businessHours, slaTargetPercent and your own; what is not named stays, null takes away',
      jsonObject,
    );
}

interface Fields {
  name?: string;
  id?: string;
  tier?: Client['tier'];
  status?: Client['status'];
  email?: string;
  timezone?: string;
  metadata?: Record<string, unknown>;
}

function given({ name, tier, status, email, timezone, metadata }: Fields, before: Record<string, unknown>) {
  return {
    ...(name !== undefined ? { name } : {}),
    ...(tier !== undefined ? { tier } : {}),
    ...(status !== undefined ? { status } : {}),
    ...(email !== undefined ? { contactEmail: email || null } : {}),
    ...(timezone !== undefined ? { timezone } : {}),
    ...(metadata !== undefined ? { metadata: mergedMetadata(before, metadata) } : {}),
  };
}

export const register: Register = (program, lifecycle) => {
  const client = program.command('client').description('the companies whose devices are looked after');

  client
    .command('list')
    .description('list clients')
    .addOption(choices('--status <status>', 'only those with this status', 'clientStatuses'))
    .addOption(choices('--tier <tier>', 'only those of this tier', 'tiers'))
    .action(
      action(lifecycle, async (context, _args, own: Pick<Fields, 'status' | 'tier'>) => {
        const clients = await (await context.toolkit()).clients.list(own);
        context.output.data(clients, () =>
          context.output.table(
            ['ID', 'NAME', 'STATUS', 'TIER', 'TIMEZONE', 'E-MAIL'],
            clients.map((c) => [c.id, c.name, c.status, c.tier, c.timezone, c.contactEmail]),
            own.status || own.tier
              ? 'No such clients.'
              : 'No clients yet. Add one with: msp-toolkit client add --name "Acme Corp"',
          ),
        );
      }),
    );

  fields(
    client
      .command('add')
      .description('register a client')
      .requiredOption('--name <name>', 'its name')
      .option('--id <id>', 'its id, of a-z, 0-9 and -; default: made from the name'),
  )
    .addHelpText(
      'after',
      '\nExample:\n  msp-toolkit client add --name "Acme Corp" --tier gold --email it@acme.example',
    )
    .action(
      action(lifecycle, async (context, _args, own: Fields) => {
        const added = await (
          await context.toolkit()
        ).clients.add({
          name: own.name ?? '',
          ...given(own, {}),
          ...(own.id ? { id: own.id } : {}),
        });
        context.output.data(added, () => show(context.output, added));
        context.output.note(`Next: msp-toolkit device add --client-id ${added.id} --name HOST`);
      }),
    );

  client
    .command('show')
    .description('show a client')
    .argument('<id>')
    .action(
      action(lifecycle, async (context, [id]) => {
        const found = await (await context.toolkit()).clients.get(String(id));
        context.output.data(found, () => show(context.output, found));
      }),
    );

  fields(
    client
      .command('update')
      .description('change a client')
      .argument('<id>')
      .option('--name <name>', 'its name')
      .addOption(choices('--status <status>', 'its status', 'clientStatuses')),
  ).action(
    action(lifecycle, async (context, [id], own: Fields) => {
      const toolkit = await context.toolkit();
      const before = await toolkit.clients.get(String(id));
      const updated = await toolkit.clients.update(before.id, given(own, before.metadata));
      context.output.data(updated, () => show(context.output, updated));
    }),
  );

  client
    .command('remove')
    .description('remove a client with its devices, results and reports')
    .argument('<id>')
    .option('--yes', "don't ask")
    .option('--dry-run', 'say what would go, and remove nothing')
    .action(
      action(lifecycle, async (context, [id], own: { yes?: boolean; dryRun?: boolean }) => {
        const toolkit = await context.toolkit();
        const found = await toolkit.clients.get(String(id));
        if (own.dryRun) {
          const footprint = await toolkit.clients.footprint(found.id);
          context.output.data({ client: found, ...footprint }, () =>
            context.output.record([['client', found.id], ...Object.entries(footprint)]),
          );
          return;
        }
        await context.confirm(
          `Remove the client "${found.name}" with all its devices, results and reports?`,
          own.yes,
        );
        const removed = await toolkit.clients.remove(found.id);
        context.output.data(removed, () =>
          context.output.line(`Removed ${removed.id}. Report files stay on disk.`),
        );
      }),
    );

  client
    .command('onboard')
    .description('take a client in, step by step')
    .argument('<id>')
    .addOption(new Option('--template <name>', 'what is done').default('basic'))
    .option('--no-wait', 'print the job and return at once')
    .option('--dry-run', 'say what would be done, and do nothing')
    .addHelpText(
      'after',
      '\nTemplates: basic, standard-business, enterprise, and your own (onboarding.templateDir).',
    )
    .action(
      action(lifecycle, async (context, [id], own: { template: string; wait: boolean; dryRun?: boolean }) => {
        const toolkit = await context.toolkit();
        if (own.dryRun) {
          const client = await toolkit.clients.get(String(id));
          const steps = await toolkit.clients.onboardingSteps(own.template);
          context.output.data({ clientId: client.id, template: own.template, steps }, () =>
            context.output.table(
              ['STEP', 'DOES'],
              steps.map((step) => [step.name, step.action]),
              '',
            ),
          );
          return;
        }
        const started = await toolkit.clients.onboard(String(id), own.template);
        await withJob(context, started, own.wait, `Onboarding ${id}`, async (result, job) => {
          context.output.data({ job, ...result }, () => {
            context.output.table(
              ['STEP', 'STATUS', 'EVIDENCE'],
              result.steps.map((step) => [step.name, step.status, brief(step.evidence)]),
              'No steps.',
            );
          });
        });
      }),
    );
};

/** The evidence of a step in a line. */
export function brief(evidence: Record<string, unknown>): string {
  if (typeof evidence['reason'] === 'string') return evidence['reason'];
  const text = Object.entries(evidence)
    .map(([key, value]) => {
      if (Array.isArray(value)) return `${key}: ${value.length}`;
      return `${key}: ${typeof value === 'object' && value !== null ? JSON.stringify(value) : String(value)}`;
    })
    .join(', ');
  return text.length > 100 ? `${text.slice(0, 99)}…` : text;
}
