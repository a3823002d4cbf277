/**
 * Writes docs/reference.md from the code: commands, tools, job types, settings, errors. With --check it writes nothing
 * and fails if the file is not what the code says.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Argument, Command } from 'commander';
import { z } from 'zod';
import { errorCodes } from '../src/domain/errors.ts';
import { configJsonSchema } from '../src/entry/config.ts';
import { createProgram } from '../src/entry/cli/program.ts';
import { tools } from '../src/entry/mcp/tools/index.ts';
import { exitCodes } from '../src/entry/run.ts';
import { registry } from '../src/jobs/registry.ts';
import { channelTypes } from '../src/workers/channels/index.ts';
import { catalogue } from '../src/workers/probes/index.ts';

interface JsonSchema {
  type?: string | string[];
  enum?: unknown[];
  const?: unknown;
  default?: unknown;
  description?: string;
  properties?: Record<string, JsonSchema>;
  required?: string[];
  items?: JsonSchema;
  anyOf?: JsonSchema[];
}

const cell = (text: unknown) =>
  String(text ?? '')
    .replaceAll('|', '\\|')
    .replaceAll('\n', ' ');
const table = (head: string[], rows: unknown[][]) =>
  [head, head.map(() => '---'), ...rows].map((row) => `| ${row.map(cell).join(' | ')} |`).join('\n');

function typeOf(schema: JsonSchema): string {
  if (schema.enum) return schema.enum.map((value) => `\`${String(value)}\``).join(' ');
  if (schema.anyOf) return schema.anyOf.map(typeOf).join(' or ');
  if (schema.type === 'array') return `list of ${schema.items ? typeOf(schema.items) : 'anything'}`;
  return Array.isArray(schema.type) ? schema.type.join(' or ') : (schema.type ?? 'anything');
}

const fallback = (schema: JsonSchema) =>
  schema.default === undefined ? '' : `\`${JSON.stringify(schema.default)}\``;

function commands(command: Command, path: string): string[] {
  const children = command.commands.filter((child) => child.name() !== 'help');
  if (children.length > 0) return children.flatMap((child) => commands(child, `${path} ${child.name()}`));
  const words = command.registeredArguments.map((a: Argument) =>
    a.required ? `<${a.name()}>` : `[${a.name()}]`,
  );
  const options = command.options.map((o) => [
    `\`${o.flags}\``,
    `${o.description}${o.argChoices ? ` (${o.argChoices.join(', ')})` : ''}`,
    o.mandatory
      ? 'required'
      : o.defaultValue === undefined || o.negate
        ? ''
        : `\`${o.defaultValueDescription ?? String(o.defaultValue)}\``,
  ]);
  return [
    `### \`${[path, ...words].join(' ')}\``,
    `${command.description()}.`,
    ...(options.length > 0 ? [table(['option', 'meaning', 'default'], options)] : []),
  ];
}

function settings(schema: JsonSchema, path: string[] = []): string[][] {
  return Object.entries(schema.properties ?? {}).flatMap(([key, value]) => {
    const here = [...path, key];
    if (value.properties) return settings(value, here);
    const name =
      `MSP_${here.map((k) => k.replace(/[A-Z]/g, (l) => `_${l}`).replaceAll('.', '_')).join('_')}`.toUpperCase();
    return [
      [`\`${here.join('.')}\``, typeOf(value), fallback(value), value.description ?? '', `\`${name}\``],
    ];
  });
}

function fields(shape: z.ZodRawShape): string[][] {
  const schema = z.toJSONSchema(z.object(shape), { io: 'input', unrepresentable: 'any' }) as JsonSchema;
  return Object.entries(schema.properties ?? {}).map(([name, value]) => [
    `\`${name}\``,
    typeOf(value),
    schema.required?.includes(name) ? 'required' : fallback(value),
    value.description ?? '',
  ]);
}

const program = await createProgram('all', {
  environment: {},
  signal: new AbortController().signal,
  setExitCode() {},
});
const text = `${[
  '# Reference',
  'Made from the code by `node scripts/reference.ts`; `npm run check` fails when it is out of date.',
  '## Commands',
  `Every command also takes ${program.options.map((o) => `\`${o.flags}\``).join(', ')}.`,
  ...commands(program, 'msp-toolkit'),
  '## Exit codes',
  table(
    ['code', 'meaning'],
    [
      [0, 'done'],
      [exitCodes.failed, 'failed'],
      [exitCodes.usage, 'wrong usage or configuration'],
      [3, 'with `--exit-status`: not everything is healthy; what is not known does not count as healthy'],
      [exitCodes.auth, 'authentication, or a secret that others can read'],
      [exitCodes.interrupted, 'interrupted'],
    ],
  ),
  '## Errors',
  'From every door an error has a code, a message, details and, where there is one, a hint at what to do.',
  table(
    ['code', 'exit code', 'a job that meets it'],
    Object.entries(errorCodes).map(([code, { kind, retryable }]) => [
      `\`${code}\``,
      exitCodes[kind],
      retryable ? 'is tried again' : 'fails at once',
    ]),
  ),
  '## MCP tools',
  ...tools.flatMap((tool) => [
    `### \`${tool.name}\``,
    `${tool.description} ${tool.annotations.readOnlyHint ? 'Reads only.' : 'Changes something.'}`,
    ...(fields(tool.input).length > 0
      ? [table(['input', 'type', 'default', 'meaning'], fields(tool.input))]
      : []),
  ]),
  '## Checks',
  'Settings stand in the metadata of a device under `checks`, or for all devices in `healthChecks.settings`. See [Monitoring](monitoring.md).',
  ...catalogue.flatMap((type) => {
    const schema = z.toJSONSchema(type.settings, { io: 'input', unrepresentable: 'any' }) as JsonSchema;
    const own = Object.entries(schema.properties ?? {}).map(([name, value]) => [
      `\`${name}\``,
      typeOf(value),
      schema.required?.includes(name) ? 'required' : fallback(value),
      value.description ?? '',
    ]);
    const limit = (value: unknown) => (value == null ? '' : `\`${String(value)}\``);
    const values = Object.entries(type.values).map(([name, spec], index) => [
      `\`${index === 0 ? type.name : `${type.name}.${name}`}\``,
      spec.unit,
      spec.about,
      limit(spec.warning),
      limit(spec.critical),
      spec.worse ?? 'above',
    ]);
    return [
      `### \`${type.name}\``,
      `${type.about}. Runs ${type.runs === 'on-device' ? 'on the device itself' : 'from anywhere'}.`,
      ...(own.length > 0 ? [table(['setting', 'type', 'default', 'meaning'], own)] : []),
      ...(values.length > 0
        ? [table(['value', 'unit', 'meaning', 'warning', 'critical', 'bad is'], values)]
        : ['Its values are those that the plugin answers with.']),
    ];
  }),
  '## Channels',
  'Under `alerts.channels`, each with a `name` and a `type`; secrets are credentials.',
  table(
    ['type', 'what', 'settings'],
    channelTypes.map((channel) => [
      `\`${channel.type}\``,
      channel.about,
      Object.keys(channel.settings)
        .map((name) => `\`${name}\``)
        .join(', '),
    ]),
  ),
  '## Job types',
  table(
    ['type', 'queue', 'tries', 'first wait', 'time limit'],
    [...registry.jobTypes(), 'health.probe'].flatMap((type) => {
      const policy = registry.any(type);
      return policy
        ? [
            [
              `\`${type}\``,
              policy.queue,
              policy.attempts,
              `${policy.backoffMs} ms`,
              `${policy.timeoutMs / 1000} s`,
            ],
          ]
        : [];
    }),
  ),
  'Waits double with each failed try, half of each at random. Crashes of a worker are not failed tries.',
  '## Settings',
  'In the configuration file, or in the environment, which wins.',
  table(['setting', 'type', 'default', 'meaning', 'environment'], settings(configJsonSchema() as JsonSchema)),
].join('\n\n')}\n`;

const file = join(import.meta.dirname, '../docs/reference.md');
if (process.argv.includes('--check')) {
  if (readFileSync(file, 'utf8') !== text) {
    console.error('docs/reference.md is out of date: run node scripts/reference.ts');
    process.exitCode = 1;
  }
} else {
  writeFileSync(file, text);
}
