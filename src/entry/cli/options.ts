import { InvalidArgumentError, Option } from 'commander';
import { DomainError } from '../../domain/errors.ts';

/** Values that options may take, apart from the domain so that `--help` stays fast; a test keeps the two alike. */
export const optionChoices = {
  tiers: ['bronze', 'silver', 'gold', 'premium'],
  clientStatuses: ['pending', 'active', 'inactive', 'suspended'],
  deviceTypes: ['server', 'workstation', 'laptop', 'network', 'printer', 'mobile', 'other'],
  reportFormats: ['pdf', 'html', 'markdown'],
  checkNames: [
    'cpu',
    'memory',
    'disk',
    'services',
    'network',
    'ping',
    'tcp',
    'http',
    'tls',
    'dns',
    'backup',
    'updates',
    'plugin',
  ],
  severities: ['info', 'warning', 'critical'],
  alertStates: ['open', 'acknowledged', 'snoozed', 'resolved', 'all'],
  historyLevels: ['result', 'minute', 'hour', 'day'],
  misfires: ['skip', 'once', 'all'],
  overlaps: ['skip', 'queue', 'allow'],
  retryStates: ['failed', 'cancelled', 'dead'],
  jobStates: ['pending', 'queued', 'running', 'succeeded', 'failed', 'cancelled', 'dead'],
} as const;

export function choices(flags: string, description: string, of: keyof typeof optionChoices): Option {
  return new Option(flags, description).choices([...optionChoices[of]]);
}

export function jsonObject(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null && !Array.isArray(value))
      return value as Record<string, unknown>;
  } catch {
    // Said below, in the same words as for a JSON text that is no object.
  }
  throw new InvalidArgumentError('It must be a JSON object.');
}

/** A JSON object given as an argument, or `-`; kept as text until standard input has been read. */
export function jsonArgument(text: string): string {
  if (text !== '-') jsonObject(text);
  return text;
}

/** The same from a file or from standard input. Throws USAGE. */
export function parseJsonObject(text: string, what: string): Record<string, unknown> {
  try {
    return jsonObject(text);
  } catch {
    throw new DomainError('USAGE', `The ${what} is not a JSON object.`);
  }
}

/** An object with changes laid over it: what is not named stays, and null takes away. */
export function mergedMetadata(
  before: Record<string, unknown>,
  changes: Record<string, unknown>,
): Record<string, unknown> {
  return Object.fromEntries(Object.entries({ ...before, ...changes }).filter(([, value]) => value !== null));
}

/** 0 or more. */
export function wholeNumber(text: string): number {
  return text === '0' ? 0 : positiveInteger(text);
}

export function positiveInteger(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1)
    throw new InvalidArgumentError('It must be a whole number above 0.');
  return value;
}

/** A list such as `cpu,disk` of known values. */
export function listOf(of: keyof typeof optionChoices): (text: string) => string[] {
  return (text) => {
    const known: readonly string[] = optionChoices[of];
    const values = text
      .split(',')
      .map((part) => part.trim())
      .filter(Boolean);
    const wrong = values.find((value) => !known.includes(value));
    if (wrong !== undefined || values.length === 0) {
      throw new InvalidArgumentError(
        `${wrong === undefined ? 'It is empty' : `"${wrong}" is not known`}. Known are: ${known.join(', ')}.`,
      );
    }
    return values;
  };
}

export function collect(value: string, before: string[] | undefined): string[] {
  return [...(before ?? []), value];
}
