import { existsSync } from 'node:fs';
import { z } from 'zod';
import { defineCheck, type Finding, unknown } from '../../domain/check/check-type.ts';
import { runCommand } from './command.ts';

/** The services that are expected to run: each must have a process. */
async function expectedServices(names: readonly string[]): Promise<Finding> {
  const { services } = await import('systeminformation');
  const found = await services(names.join(','));
  const down = names.filter((name) => !found.some((s) => s.name === name.toLowerCase() && s.running));
  return {
    instance: 'expected',
    status: down.length > 0 ? 'critical' : 'healthy',
    message: down.length > 0 ? `not running: ${down.join(', ')}` : `running: ${names.join(', ')}`,
    values: [{ name: 'down', value: down.length, unit: 'services' }],
  };
}

/** What a service manager says of itself, cut to those that are not to be left out. */
function failedFinding(manager: string, failed: readonly string[]): Finding {
  return {
    instance: manager,
    status: failed.length > 0 ? 'warning' : 'healthy',
    message: failed.length > 0 ? `failed: ${failed.join(', ')}` : `${manager} knows of no failed service`,
    values: [{ name: 'failed', value: failed.length, unit: 'services' }],
  };
}

/** Units that systemd lists as failed. */
async function failedUnits(signal: AbortSignal): Promise<string[]> {
  const args = ['list-units', '--state=failed', '--plain', '--no-legend', '--no-pager'];
  const { code, stdout, stderr } = await runCommand('systemctl', args, { signal });
  if (code !== 0) throw new Error(`systemctl failed: ${stderr.trim() || `exit code ${code}`}`);
  return stdout.split('\n').flatMap((line) => line.trim().split(/\s+/)[0] || []);
}

/** Jobs that launchd keeps and whose last run ended badly. */
async function failedLaunchdJobs(signal: AbortSignal): Promise<string[]> {
  const { stdout } = await runCommand('launchctl', ['list'], { signal });
  return stdout
    .split('\n')
    .slice(1)
    .map((line) => line.split('\t'))
    .filter(([pid, code]) => pid === '-' && code !== undefined && Number(code) > 0)
    .map(([, , label]) => label ?? '');
}

/** Windows services that start by themselves and don't run. */
async function stoppedAutomaticServices(): Promise<string[]> {
  const { services } = await import('systeminformation');
  return (await services('*')).filter((s) => s.startmode === 'Auto' && !s.running).map((s) => s.name);
}

/** Services that ought to run and don't: those that were named, and those the service manager counts as failed. */
export const services = defineCheck({
  name: 'services',
  about: 'Services that ought to run, and those that failed (systemd, Windows, launchd)',
  runs: 'on-device',
  settings: z.strictObject({
    names: z.array(z.string().min(1)).optional().describe("Default: the device's metadata.services."),
    ignore: z.array(z.string()).default([]).describe('Failed services that are of no interest.'),
  }),
  values: {
    down: { unit: 'services', about: 'Expected services that do not run' },
    failed: { unit: 'services', about: 'Services that the service manager counts as failed' },
  },
  timeoutMs: () => 15_000,
  async measure(device, { names, ignore }, { signal }) {
    const findings: Finding[] = [];
    const expected = names ?? device.metadata.services ?? [];
    if (expected.length > 0) findings.push(await expectedServices(expected));
    const wanted = (name: string) => name !== '' && !ignore.includes(name);
    if (process.platform === 'win32') {
      findings.push(failedFinding('Windows', (await stoppedAutomaticServices()).filter(wanted)));
    } else if (process.platform === 'darwin') {
      findings.push(failedFinding('launchd', (await failedLaunchdJobs(signal)).filter(wanted)));
    } else if (existsSync('/run/systemd/system')) {
      findings.push(failedFinding('systemd', (await failedUnits(signal)).filter(wanted)));
    }
    if (findings.length > 0) return findings;
    return unknown('no service manager runs here, and no services are named that ought to run');
  },
});
