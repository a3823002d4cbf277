import { join } from 'node:path';
import type { Clock } from '../domain/clock.ts';
import type { Log } from '../domain/log.ts';
import type { Ports } from '../domain/ports.ts';
import type { AlertSettings, MonitorSettings, Settings } from '../domain/settings.ts';
import type { Storage } from '../domain/storage/storage.ts';
import { type Credentials, createCredentials } from '../workers/credentials/index.ts';
import { environmentStore } from '../workers/credentials/environment.ts';
import { fileStore } from '../workers/credentials/file.ts';
import { keyringStore } from '../workers/credentials/keyring.ts';
import { smtpMailer, type SmtpSettings } from '../workers/mail/smtp.ts';
import { onboardingTemplates } from '../workers/onboarding-templates.ts';
import { openChannels } from '../workers/channels/index.ts';
import { addressGuard } from '../workers/probes/guard.ts';
import { catalogue } from '../workers/probes/index.ts';
import { localProber } from '../workers/probes/prober.ts';
import { type BrowserPool, createBrowserPool } from '../workers/report/browser.ts';
import { reportFiles } from '../workers/report/files.ts';
import { createRenderer } from '../workers/report/renderer.ts';
import { localRmm } from '../workers/rmm/local.ts';
import type { Config } from './config.ts';
import { packageRoot } from './package-info.ts';

export interface Surroundings {
  home: string;
  config: Config;
  environment: Record<string, string | undefined>;
  clock: Clock;
  log: Log;
}

/** The part of the configuration that jobs act on. */
export function settingsOf(config: Config): Settings {
  return {
    companyName: config.general.companyName,
    timezone: config.general.timezone,
    monitor: monitorSettings(config),
    alerts: alertSettings(config),
    maintenanceCounts: config.availability.maintenance === 'counted',
    probeBatch: config.healthChecks.probeBatch,
    uncertainMail: config.mail.whenUncertain,
    mailFrom: config.mail.from,
    mailPerMinute: config.mail.perMinute,
  };
}

export function monitorSettings({ healthChecks }: Config): MonitorSettings {
  const { networkTargets, settings, holdMinutes, attempts, flapping, ...same } = healthChecks;
  const network = {
    ...(networkTargets.length > 0 ? { targets: networkTargets } : {}),
    ...settings['network'],
  };
  return {
    thresholds: same.thresholds,
    tiers: same.tiers as MonitorSettings['tiers'],
    checks: same.checks,
    checkSettings: { ...(settings as Record<string, Record<string, unknown>>), network },
    state: { attempts, flapping },
    holdMs: holdMinutes * 60_000,
    reachability: same.reachability,
  };
}

export function alertSettings({ alerts }: Config): AlertSettings {
  return {
    channels: alerts.channels.map(({ afterMinutes, ...channel }) => ({
      ...channel,
      afterMs: afterMinutes * 60_000,
    })),
    groupMs: alerts.groupSeconds * 1000,
    remindMs: alerts.remindMinutes === 0 ? null : alerts.remindMinutes * 60_000,
  };
}

export function openCredentials({
  home,
  environment,
}: Pick<Surroundings, 'home' | 'environment'>): Credentials {
  return createCredentials([
    environmentStore(environment),
    keyringStore(`msp-toolkit:${home}`),
    fileStore(home),
  ]);
}

export function smtpSettings(config: Config, credentials: Credentials): SmtpSettings | undefined {
  const { host, port, secure, user, from } = config.mail;
  if (!host) return undefined;
  return { host, port, secure, user, from, password: () => credentials.get('mail', 'password') };
}

export function browserSettings({ config, environment }: Pick<Surroundings, 'config' | 'environment'>) {
  return { configured: config.reporting.browser, fromEnvironment: environment['PUPPETEER_EXECUTABLE_PATH'] };
}

/** Our folder of templates after the company's own, if it has one. */
function templateFolders(own: string | undefined, kind: 'reports' | 'onboarding'): string[] {
  return [...(own ? [own] : []), join(packageRoot, 'templates', kind)];
}

/** The outside world for workers. Nothing is started before it is used; `close` ends what was. */
export function openPorts(
  around: Surroundings,
  storage: Storage | undefined,
): { ports: Ports; browser: BrowserPool; close(): Promise<void> } {
  const { home, config, clock, log } = around;
  // Chromium's sandbox refuses to work for root.
  const sandbox = config.reporting.sandbox && process.getuid?.() !== 0;
  const browser = createBrowserPool({ ...browserSettings(around), sandbox }, log);
  const credentials = openCredentials(around);
  const mailer = smtpMailer(smtpSettings(config, credentials));
  const noDatabase = new Proxy({} as Storage, {
    get() {
      throw new Error('this worker has no database');
    },
  });
  return {
    browser,
    ports: {
      catalogue,
      prober: localProber({
        catalogue,
        clock,
        forbidden: addressGuard(config.healthChecks.denyNetworks),
        pluginFolders: config.healthChecks.pluginFolders,
      }),
      channels: openChannels({
        channels: config.alerts.channels,
        mailer,
        mailFrom: config.mail.from,
        clock,
        credential: (service, key) => credentials.get(service, key),
      }),
      rmm: localRmm(storage ?? noDatabase),
      renderer: createRenderer(templateFolders(config.reporting.templateDir, 'reports'), browser),
      reportFiles: reportFiles(config.reporting.outputDir ?? join(home, 'reports')),
      mailer,
      onboarding: onboardingTemplates(templateFolders(config.onboarding.templateDir, 'onboarding')),
    },
    close: () => browser.close(),
  };
}

export function onboardingFolders(config: Config): string[] {
  return templateFolders(config.onboarding.templateDir, 'onboarding');
}
