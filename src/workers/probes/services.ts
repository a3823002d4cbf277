import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { promisify } from 'node:util';
import { type Finding, type Probe, unknown } from './probe.ts';

const run = promisify(execFile);

/** Units that systemd itself lists as failed. */
async function failedUnits(signal: AbortSignal): Promise<string[]> {
  const { stdout } = await run(
    'systemctl',
    ['list-units', '--state=failed', '--plain', '--no-legend', '--no-pager'],
    {
      signal,
      timeout: 10_000,
    },
  );
  return stdout.split('\n').flatMap((line) => line.trim().split(/\s+/)[0] || []);
}

/** The services that the device's record expects: each must have a process. */
async function expectedServices(names: readonly string[]): Promise<Finding[]> {
  const { services } = await import('systeminformation');
  const found = await services(names.join(','));
  const down = names.filter((name) => !found.some((s) => s.name === name.toLowerCase() && s.running));
  return [
    {
      instance: 'expected',
      status: down.length > 0 ? 'critical' : 'healthy',
      value: down.length,
      unit: 'down',
      message: down.length > 0 ? `not running: ${down.join(', ')}` : `running: ${names.join(', ')}`,
    },
  ];
}

/** Services that ought to run and don't: those the device's record names, and those systemd counts as failed. */
export const services: Probe = {
  check: 'services',
  async measure(device, _wish, signal) {
    const findings: Finding[] = [];
    const expected = device.metadata.services ?? [];
    if (expected.length > 0) findings.push(...(await expectedServices(expected)));
    if (existsSync('/run/systemd/system')) {
      const failed = await failedUnits(signal);
      findings.push({
        instance: 'systemd',
        status: failed.length > 0 ? 'warning' : 'healthy',
        value: failed.length,
        unit: 'failed',
        message: failed.length > 0 ? `failed units: ${failed.join(', ')}` : 'systemd knows of no failed unit',
      });
    }
    if (findings.length > 0) return findings;
    return unknown('systemd does not run here, and no services are named that ought to run');
  },
};
