import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import { DomainError } from '../domain/errors.ts';
import { configJsonSchema, configSchema } from './config.ts';

/** The schema without its wrappers, and what it falls back to. */
function unwrap(schema: z.ZodType): { type: z.ZodType; fallback: unknown } {
  let type = schema;
  let fallback: unknown;
  while (type instanceof z.ZodOptional || type instanceof z.ZodDefault || type instanceof z.ZodPrefault) {
    if (!(type instanceof z.ZodOptional)) fallback = type.def.defaultValue;
    type = type.unwrap() as z.ZodType;
  }
  return { type, fallback };
}

/** The fields of a section, each as a comment. `inner` is the indent behind the #. */
function fields(section: z.ZodObject, inner: string): string[] {
  return Object.entries(section.shape).flatMap(([key, field]) => {
    const { type, fallback } = unwrap(field as z.ZodType);
    const { description: about, examples = [] } = (field as z.ZodType).meta() ?? {};
    // A setting whose default is not the schema's, but known all the same.
    if (Array.isArray(examples) && examples.length > 0) {
      return [`  # ${inner}# ${about}`, `  # ${inner}${key}: ${JSON.stringify(examples[0])}`];
    }
    const empty = fallback === undefined || JSON.stringify(fallback) === '{}';
    return [
      ...(about ? [`  # ${inner}${about}`] : []),
      `  # ${inner}${key}:${empty ? '' : ` ${JSON.stringify(fallback)}`}`,
      ...(type instanceof z.ZodObject && empty ? fields(type, `${inner}  `) : []),
    ];
  });
}

/** For lists, which have no default worth showing. */
const examples: Record<string, string[]> = {
  schedules: [
    '- name: acme-nightly',
    '  cron: "0 2 * * *"',
    '  timezone: Europe/Berlin',
    '  jobType: health.check',
    '  payload: { clientId: acme-corp }',
  ],
};

/** A configuration file in which every setting stands as a comment with its default, made from the schema. */
export function configTemplate(): string {
  const sections = Object.entries(configSchema.shape).flatMap(([name, section]) => {
    const { type } = unwrap(section);
    if (type instanceof z.ZodObject) return ['', `${name}:`, ...fields(type, '')];
    return [
      '',
      `${name}:`,
      `  # ${section.description}`,
      ...(examples[name] ?? []).map((line) => `  # ${line}`),
    ];
  });
  return [
    '# yaml-language-server: $schema=./config.schema.json',
    '# Settings of MSP Toolkit. Each is shown with its default; take away the # to change one.',
    '# The environment wins over this file: general.companyName is MSP_GENERAL_COMPANY_NAME.',
    ...sections,
    '',
  ].join('\n');
}

/** Writes a commented configuration and its schema; never over one that exists. */
export async function writeConfigTemplate(file: string): Promise<void> {
  await mkdir(dirname(file), { recursive: true });
  try {
    await writeFile(file, configTemplate(), { flag: 'wx', mode: 0o600 });
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') {
      throw new DomainError(
        'CONFIG_INVALID',
        `There is a configuration at ${file} already; it was not touched.`,
        {
          details: { file },
          hint: `Check it with: msp-toolkit config validate --config ${file}`,
        },
      );
    }
    throw error;
  }
  await writeFile(
    join(dirname(file), 'config.schema.json'),
    `${JSON.stringify(configJsonSchema(), null, 2)}\n`,
  );
}
