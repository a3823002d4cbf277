import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { effectiveThresholds } from '../../../src/domain/check/thresholds.ts';
import { catalogue } from '../../../src/workers/probes/index.ts';
import { parse } from 'yaml';
import { configJsonSchema, loadConfig, parseConfig } from '../../../src/entry/config.ts';
import { configTemplate } from '../../../src/entry/config-template.ts';
import { scratchHome } from '../../support/home.ts';

async function load(text: string, environment: Record<string, string> = {}) {
  const home = await scratchHome();
  await writeFile(join(home, 'config.yaml'), text);
  return loadConfig({ home, cwd: home, environment });
}

test('none is needed', () => {
  expect(parseConfig({}, {})).toMatchObject({
    general: { timezone: 'UTC' },
    healthChecks: { probeBatch: 50 },
  });
});

test('every problem is reported at once, with its line', async () => {
  const text = `general:
  timezone: Mars/Olympus
healthChecks:
  tresholds: {}
  thresholds:
    cpu:
      warning: 99
      critical: 50
mail:
  port: abc
`;
  const error = await load(text).then(
    () => undefined,
    (e: unknown) => e,
  );
  expect(error).toMatchObject({
    code: 'CONFIG_INVALID',
    details: {
      problems: expect.arrayContaining([
        expect.objectContaining({ path: 'general.timezone', line: 2 }),
        { path: 'healthChecks.tresholds', problem: 'no such setting; did you mean thresholds?', line: 4 },
        expect.objectContaining({ path: 'healthChecks.thresholds.cpu', line: 7 }),
        expect.objectContaining({ path: 'mail.port', line: 10 }),
      ]),
    },
  });
});

test('an unknown section names the nearest one', () => {
  expect(() => parseConfig({ reportin: {} }, {})).toThrow(
    /reportin — no such setting; did you mean reporting\?/,
  );
});

test('broken YAML is refused with its line', async () => {
  await expect(load('general:\n  companyName: "open\nmail: x')).rejects.toMatchObject({
    code: 'CONFIG_INVALID',
    message: expect.stringMatching(/line \d/),
  });
});

test('a chosen file that does not exist is an error', async () => {
  const options = { home: '/nonexistent', cwd: '/', environment: {}, file: '/nonexistent/x.yaml' };
  await expect(loadConfig(options)).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
});

test('the environment wins over the file', async () => {
  const { config } = await load(
    'general:\n  companyName: File\nhealthChecks:\n  thresholds:\n    cpu: { warning: 10, critical: 20 }\n',
    {
      MSP_GENERAL_COMPANY_NAME: 'Environment',
      MSP_HEALTH_CHECKS_THRESHOLDS_CPU_WARNING: '15',
      MSP_HEALTH_CHECKS_NETWORK_TARGETS: 'a:1, b:2',
      MSP_MAIL_SECURE: 'true',
    },
  );
  expect(config.general.companyName).toBe('Environment');
  expect(config.healthChecks).toMatchObject({
    thresholds: { cpu: { warning: 15, critical: 20 } },
    networkTargets: ['a:1', 'b:2'],
  });
  expect(config.mail.secure).toBe(true);
});

test('a misspelt name in the environment is an error that names the nearest', () => {
  expect(() => parseConfig({}, { MSP_REPORTING_OUTPUT_DIRR: '/x' })).toThrow(
    /did you mean MSP_REPORTING_OUTPUT_DIR\?/,
  );
});

test('the template that init writes is valid and changes nothing', () => {
  expect(parseConfig(parse(configTemplate()), {})).toEqual(parseConfig({}, {}));
});

test('the template stays valid with every comment that shows a default taken away', () => {
  const [settings = ''] = configTemplate().split('\nschedules:');
  const uncommented = settings
    .replaceAll(/^( *)# ((?: {2})*[a-z][\w.]*: .+)$/gm, '$1$2')
    .replaceAll(/^( +)# ( *(?:thresholds|flapping):)$/gm, '$1$2');
  const { thresholds, ...healthChecks } = parseConfig(parse(uncommented), {}).healthChecks;
  const { thresholds: none, ...defaults } = parseConfig({}, {}).healthChecks;
  expect(healthChecks).toEqual(defaults);
  // Thresholds are shown with those of the check types, which need not be set.
  expect(none).toEqual({});
  expect(effectiveThresholds(catalogue, [{ from: 'x', settings: thresholds }]).get('disk')).toMatchObject({
    warning: 85,
    critical: 95,
  });
});

test('the first line points editors at the schema, which knows every section', () => {
  expect(configTemplate().split('\n')[0]).toContain('yaml-language-server: $schema=');
  expect(Object.keys((configJsonSchema() as { properties: object }).properties)).toEqual(
    Object.keys(parseConfig({}, {})),
  );
});

test.each([
  [{ jobs: { keepDays: 3 } }, 'jobs.keepDays'],
  [{ jobs: { keepFailedDays: 1 } }, 'jobs.keepFailedDays'],
  [{ jobs: { limits: { 'health.check': { atOnce: 0 } } } }, 'jobs.limits.health.check.atOnce'],
  [{ metrics: { port: 70_000 } }, 'metrics.port'],
  [{ telemetry: { otlpUrl: 'collector:4318' } }, 'telemetry.otlpUrl'],
])(
  '%j is refused: nothing may be forgotten sooner than an idempotency key holds, and the like',
  (config, path) => {
    expect(() => parseConfig(config as never, {})).toThrow(
      expect.objectContaining({
        code: 'CONFIG_INVALID',
        details: expect.objectContaining({ problems: [expect.objectContaining({ path })] }),
      }),
    );
  },
);
