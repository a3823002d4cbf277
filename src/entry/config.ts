import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { distance } from 'fastest-levenshtein';
import type { Document, LineCounter } from 'yaml';
import { z } from 'zod';
import { jobLimitsSchema, shortestKeepDays } from '../domain/job.ts';
import { effectiveThresholds, thresholdsSchemaOf, wrongWayRound } from '../domain/check/thresholds.ts';
import { tiers, timezoneSchema } from '../domain/client.ts';
import { DomainError } from '../domain/errors.ts';
import { scheduleInputSchema } from '../domain/schedule.ts';
import { channelSchema } from '../workers/channels/index.ts';
import { deniedByDefault, isNetwork } from '../workers/probes/guard.ts';
import { catalogue } from '../workers/probes/index.ts';
import { logLevels } from './config-levels.ts';

export { logLevels };

const checkName = z.enum(catalogue.map((type) => type.name));
const thresholds = thresholdsSchemaOf(catalogue);

/** Together with the defaults, which the limit that is not given comes from. */
const allThresholds = thresholds.superRefine((settings, issue) => {
  const wrong = wrongWayRound(effectiveThresholds(catalogue, [{ from: 'configuration', settings }]));
  if (wrong) issue.addIssue({ code: 'custom', message: wrong, input: settings });
});

const section = <T extends z.ZodRawShape>(shape: T) => z.strictObject(shape).prefault({} as never);

/** The configuration file, section by section. What has no default here is worked out from the home folder. */
export const configSchema = z.strictObject({
  general: section({
    logLevel: z
      .enum(logLevels)
      .optional()
      .describe('Default: info for serve and worker, warn for mcp, silent elsewhere.'),
    logFile: z.string().optional().describe('Write the log to this file instead of stderr.'),
    companyName: z.string().default('MSP Toolkit').describe('The name that reports and mails carry.'),
    timezone: timezoneSchema.default('UTC').describe('For clients that name none.'),
  }),
  database: section({ path: z.string().optional().describe('Default: toolkit.db in the home.') }),
  redis: section({
    url: z
      .url({ protocol: /^rediss?$/ })
      .optional()
      .describe('Absent: a private Redis in the home.'),
    prefix: z
      .string()
      .regex(/^[\w-]+$/)
      .optional()
      .describe('Default: from the installation id.'),
    allowUnsafe: z
      .boolean()
      .default(false)
      .describe('Use a Redis that may evict or forget jobs all the same.'),
  }),
  healthChecks: section({
    thresholds: allThresholds
      .prefault({})
      .describe('Limits at which a value becomes warning or critical, by check or check.value.'),
    tiers: z
      .partialRecord(
        z.enum(tiers),
        z.strictObject({ thresholds: thresholds.optional(), checks: z.array(checkName).min(1).optional() }),
      )
      .default({})
      .describe('What differs for the clients of a tier: thresholds, checks.'),
    checks: z
      .array(checkName)
      .min(1)
      .default(['cpu', 'memory', 'disk', 'services', 'network'])
      .describe('Checks of devices that name none.'),
    settings: z
      .partialRecord(checkName, z.record(z.string(), z.unknown()))
      .default({})
      .describe("Settings of checks, by check, for every device; a device's own win."),
    attempts: z.int().min(1).max(20).default(3).describe('Bad results in a row before there is an alert.'),
    flapping: section({
      startsAbove: z.number().min(0).max(100).default(30),
      endsAtOrBelow: z.number().min(0).max(100).default(25),
    })
      .refine((f) => f.endsAtOrBelow <= f.startsAbove, 'endsAtOrBelow must not be above startsAbove')
      .describe('How much a state may change, from 0 to 100, before it counts as flapping.'),
    holdMinutes: z
      .int()
      .min(1)
      .max(10_080)
      .default(15)
      .describe('How long a result counts at least if no newer one comes; then nothing is known.'),
    reachability: z
      .array(checkName)
      .default(['ping', 'tcp', 'http'])
      .describe('Checks that tell whether a device is up.'),
    denyNetworks: z
      .array(z.string().refine(isNetwork, 'must be a network such as 169.254.0.0/16'))
      .default([...deniedByDefault])
      .describe('Networks that checks must not talk to; link-local and cloud metadata by default.'),
    pluginFolders: z
      .array(z.string().min(1))
      .default([])
      .describe('Folders whose monitoring plugins may be run on this machine.'),
    networkTargets: z
      .array(z.string().regex(/^.+:\d{1,5}$/, 'must be host:port'))
      .default([])
      .describe('host:port pairs whose reachability the network check measures.'),
    probeBatch: z.int().min(1).max(500).default(50).describe('Devices that one probe job measures.'),
  }),
  history: section({
    rawDays: z.int().min(2).max(366).default(2).describe('Days for which every result is kept as it was.'),
    minuteDays: z.int().min(1).max(366).default(7).describe('Days for which values are kept by the minute.'),
    hourDays: z.int().min(1).max(3660).default(400).describe('Days for which they are kept by the hour.'),
    dayDays: z
      .int()
      .min(1)
      .max(3660)
      .default(1830)
      .describe('Days for which they are kept by the day, and what was up and down to the second.'),
  }),
  alerts: section({
    channels: z
      .array(channelSchema)
      .default([])
      .refine((all) => new Set(all.map((c) => c.name)).size === all.length, 'names must differ')
      .describe('Ways to tell people; their secrets are credentials.'),
    groupSeconds: z
      .int()
      .min(0)
      .max(3600)
      .default(30)
      .describe('How long an alert waits for others, so that a storm is one message.'),
    remindMinutes: z
      .int()
      .min(0)
      .max(43_200)
      .default(240)
      .describe('How often an alert that nobody takes up is told again; 0 for never.'),
  }),
  availability: section({
    maintenance: z
      .enum(['excluded', 'counted'])
      .default('excluded')
      .describe('Whether planned maintenance is left out of availability.'),
  }),
  reporting: section({
    templateDir: z.string().optional().describe('A folder of your own report templates; they win over ours.'),
    outputDir: z.string().optional().describe('Default: reports in the home.'),
    sandbox: z
      .boolean()
      .default(true)
      .describe(
        "Chromium's sandbox; false where a container forbids it. Reports have neither scripts nor network.",
      ),
    browser: z.string().optional().describe('Path of Chrome or Chromium; default: found on the system.'),
  }),
  onboarding: section({
    templateDir: z.string().optional().describe('A folder of your own onboarding templates.'),
  }),
  mail: section({
    host: z.string().optional().describe('SMTP server; absent: no mail is sent.'),
    port: z.int().min(1).max(65_535).default(587),
    secure: z.boolean().default(false).describe('TLS from the first byte, as on port 465.'),
    user: z.string().optional().describe('Its password is the credential mail/password.'),
    from: z.string().default('MSP Toolkit <reports@localhost>'),
    whenUncertain: z
      .enum(['resend', 'park'])
      .default('resend')
      .describe('What to do when a crash leaves open whether a mail went out.'),
    perMinute: z
      .int()
      .min(1)
      .optional()
      .describe('Mails a minute that the server takes from all processes together; absent: no limit.'),
  }),
  jobs: section({
    keepDays: z
      .int()
      .min(shortestKeepDays)
      .default(30)
      .describe(
        `Days for which jobs that succeeded or were cancelled are kept; an idempotency key holds as long, never less than ${shortestKeepDays}.`,
      ),
    keepFailedDays: z
      .int()
      .min(shortestKeepDays)
      .default(90)
      .describe("The same for failed and dead ones, and for what became of schedules' slots."),
    limits: z
      .record(z.string(), jobLimitsSchema)
      .default({})
      .describe('By job type: how many run at a time in all (atOnce) and for each client (perClient).'),
  }),
  metrics: section({
    port: z
      .int()
      .min(1)
      .max(65_535)
      .optional()
      .describe('serve and worker tell Prometheus their figures on this loopback port; absent: they do not.'),
  }),
  telemetry: section({
    otlpUrl: z
      .url({ protocol: /^https?$/ })
      .optional()
      .describe('Where traces are sent by OTLP, such as http://localhost:4318/v1/traces; absent: nowhere.'),
  }),
  schedules: z
    .array(scheduleInputSchema)
    .default([])
    .describe('Recurring jobs, which serve asks for at their times.'),
});

export type Config = z.infer<typeof configSchema>;
export type ConfigInput = z.input<typeof configSchema>;

export interface Problem {
  path: string;
  problem: string;
  line?: number;
}

export interface LoadedConfig {
  config: Config;
  /** The file it came from; undefined where there was none. */
  file: string | undefined;
}

interface Leaf {
  path: string[];
  schema: z.ZodType;
}

/** The schema without its optional, default and prefault wrappers. */
function bare(schema: z.ZodType): z.ZodType {
  let inner = schema;
  while (inner instanceof z.ZodOptional || inner instanceof z.ZodDefault || inner instanceof z.ZodPrefault) {
    inner = inner.unwrap() as z.ZodType;
  }
  return inner;
}

function leaves(schema: z.ZodType, path: string[] = []): Leaf[] {
  const inner = bare(schema);
  if (!(inner instanceof z.ZodObject)) return [{ path, schema: inner }];
  return Object.entries(inner.shape).flatMap(([key, value]) => leaves(value as z.ZodType, [...path, key]));
}

function environmentName(path: readonly string[]): string {
  return `MSP_${path.map((key) => key.replace(/[A-Z]/g, (letter) => `_${letter}`).replaceAll('.', '_')).join('_')}`.toUpperCase();
}

function fromText(text: string, schema: z.ZodType): unknown {
  // A limit: a number, or a range as text.
  if (schema instanceof z.ZodUnion)
    return text.trim() === '' || Number.isNaN(Number(text)) ? text : Number(text);
  if (schema instanceof z.ZodNumber) return text.trim() === '' ? text : Number(text);
  if (schema instanceof z.ZodBoolean) return text === 'true' ? true : text === 'false' ? false : text;
  if (schema instanceof z.ZodArray)
    return text
      .split(',')
      .map((part) => part.trim())
      .filter(Boolean);
  return text;
}

function nearest(word: string, known: readonly string[]): string | undefined {
  const best = known
    .map((k) => ({ k, d: distance(word.toLowerCase(), k.toLowerCase()) }))
    .sort((a, b) => a.d - b.d)[0];
  return best && best.d <= Math.max(2, word.length / 3) ? best.k : undefined;
}

function noSuchSetting(key: string, near: string | undefined): string {
  if (/pass|secret|token|api_?key/i.test(key))
    return 'secrets are no settings; see: msp-toolkit credential set --help';
  return `no such setting${near ? `; did you mean ${near}?` : ''}`;
}

function keysAt(path: readonly PropertyKey[]): string[] {
  let schema: z.ZodType = configSchema;
  for (const key of path) {
    const inner = bare(schema);
    if (!(inner instanceof z.ZodObject)) return [];
    schema = inner.shape[String(key)] as z.ZodType;
    if (!schema) return [];
  }
  const inner = bare(schema);
  return inner instanceof z.ZodObject ? Object.keys(inner.shape) : [];
}

/** Names in the environment that start with MSP_ and are no setting. */
const otherNames = new Set(['MSP_HOME', 'MSP_CONFIG']);

function applyEnvironment(
  raw: Record<string, unknown>,
  environment: Record<string, string | undefined>,
): Problem[] {
  const all = new Map(leaves(configSchema).map((leaf) => [environmentName(leaf.path), leaf]));
  const problems: Problem[] = [];
  for (const [name, text] of Object.entries(environment)) {
    if (!name.startsWith('MSP_') || otherNames.has(name) || text === undefined) continue;
    const leaf = all.get(name);
    if (!leaf) {
      const near = nearest(name, [...all.keys()]);
      problems.push({ path: name, problem: noSuchSetting(name, near) });
      continue;
    }
    let place = raw;
    for (const key of leaf.path.slice(0, -1)) {
      const next = place[key];
      place = (place[key] = typeof next === 'object' && next !== null ? { ...next } : {}) as Record<
        string,
        unknown
      >;
    }
    place[leaf.path.at(-1) ?? ''] = fromText(text, leaf.schema);
  }
  return problems;
}

function describe(
  issue: z.core.$ZodIssue,
  lineOf: (path: readonly PropertyKey[]) => number | undefined,
): Problem[] {
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => {
      const near = nearest(key, keysAt(issue.path));
      const line = lineOf([...issue.path, key]);
      return {
        path: [...issue.path, key].join('.'),
        problem: noSuchSetting(key, near),
        ...(line ? { line } : {}),
      };
    });
  }
  const line = lineOf(issue.path);
  return [{ path: issue.path.join('.'), problem: issue.message, ...(line ? { line } : {}) }];
}

/** Parses a configuration from whatever source; throws CONFIG_INVALID with every problem at once. */
export function parseConfig(
  value: unknown,
  environment: Record<string, string | undefined>,
  source: { file?: string | undefined; lineOf?: (path: readonly PropertyKey[]) => number | undefined } = {},
): Config {
  // A section whose settings are all comments is null in YAML.
  const raw: Record<string, unknown> = Object.fromEntries(
    Object.entries(typeof value === 'object' && value !== null ? value : {}).filter(
      ([, entry]) => entry !== null,
    ),
  );
  const problems = applyEnvironment(raw, environment);
  const parsed = configSchema.safeParse(typeof value === 'object' ? raw : value);
  if (!parsed.success) {
    problems.push(
      ...parsed.error.issues.flatMap((issue) => describe(issue, source.lineOf ?? (() => undefined))),
    );
  }
  if (problems.length > 0 || !parsed.data) throw invalid(problems, source.file);
  return parsed.data;
}

function invalid(problems: Problem[], file: string | undefined): DomainError {
  const list = problems.map(
    (p) => `${p.line ? `line ${p.line}: ` : ''}${p.path ? `${p.path} — ` : ''}${p.problem}`,
  );
  return new DomainError(
    'CONFIG_INVALID',
    `The configuration${file ? ` ${file}` : ''} is not valid: ${list.join('; ')}`.replace(/(?<![?.])$/, '.'),
    { details: { file, problems }, hint: 'See what there is with: msp-toolkit config schema' },
  );
}

/** Where a configuration is looked for, in order; the first that exists is used. */
export function configCandidates(home: string, chosen: string | undefined, cwd: string): string[] {
  return chosen
    ? [resolve(cwd, chosen)]
    : [join(cwd, 'config', 'msp-toolkit.yaml'), join(home, 'config.yaml')];
}

/** Reads the configuration and lays the environment over it. Throws CONFIG_INVALID. */
export async function loadConfig(options: {
  home: string;
  cwd: string;
  environment: Record<string, string | undefined>;
  file?: string | undefined;
}): Promise<LoadedConfig> {
  const chosen = options.file ?? (options.environment['MSP_CONFIG'] || undefined);
  for (const file of configCandidates(options.home, chosen, options.cwd)) {
    let text: string;
    try {
      text = await readFile(file, 'utf8');
    } catch (error) {
      const missing = error instanceof Error && 'code' in error && error.code === 'ENOENT';
      if (missing && !chosen) continue;
      const reason = error instanceof Error ? error.message : String(error);
      throw new DomainError('CONFIG_INVALID', `The configuration ${file} can't be read: ${reason}.`, {
        details: { file },
      });
    }
    const { LineCounter, parseDocument } = await import('yaml');
    const counter = new LineCounter();
    const document = parseDocument(text, { lineCounter: counter });
    if (document.errors.length > 0) {
      const problems = document.errors.map((error) => ({
        path: '',
        problem: error.message.split('\n')[0]?.replace(/ at line.*$/, '') ?? error.code,
        line: counter.linePos(error.pos[0]).line,
      }));
      throw invalid(problems, file);
    }
    const lineOf = (path: readonly PropertyKey[]) => lineOfNode(document, counter, path);
    return { config: parseConfig(document.toJS() ?? {}, options.environment, { file, lineOf }), file };
  }
  return { config: parseConfig({}, options.environment), file: undefined };
}

/** The line of the key that `path` names, or of the nearest one around it. */
function lineOfNode(
  document: Document,
  counter: LineCounter,
  path: readonly PropertyKey[],
): number | undefined {
  for (let length = path.length; length > 0; length -= 1) {
    const node: unknown = document.getIn(path.slice(0, length), true);
    if (typeof node === 'object' && node !== null && 'range' in node && Array.isArray(node.range)) {
      return counter.linePos(node.range[0] as number).line;
    }
  }
  return undefined;
}

/** The JSON schema of the configuration file, for editors. */
export function configJsonSchema(): object {
  return z.toJSONSchema(configSchema, { io: 'input', unrepresentable: 'any' });
}
