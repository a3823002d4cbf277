import { access, readdir, readFile, stat } from 'node:fs/promises';
import { z } from 'zod';
import { defineCheck, type MeasureContext, unknown } from '../../domain/check/check-type.ts';
import { runCommand } from './command.ts';
import { count, reasonOf } from './probe.ts';

const dayMs = 86_400_000;

interface Pending {
  all: string[];
  security: string[];
  /** When the list of what there is was last fetched, in ms since the epoch; null where nobody says. */
  listedAt: number | null;
  reboot: boolean | null;
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

/** Reads what `apt-get --simulate` would install: `Inst libc6 [2.36-9] (2.36-10 Debian-Security:12/stable-security [amd64])`. */
export function parseApt(output: string): Pick<Pending, 'all' | 'security'> {
  const lines = output.split('\n').filter((line) => line.startsWith('Inst '));
  const name = (line: string) => line.split(' ')[1] ?? '';
  return {
    all: lines.map(name),
    security: lines.filter((line) => /\([^)]*(-security|Debian-Security)/i.test(line)).map(name),
  };
}

async function apt(signal: AbortSignal): Promise<Pending> {
  // Simulating needs neither rights nor the lock.
  const args = ['-s', '-o', 'Debug::NoLocking=true', 'dist-upgrade'];
  const { code, stdout, stderr, tooMuch } = await runCommand('apt-get', args, {
    signal,
    maxBytes: 8_388_608,
  });
  if (code !== 0 || tooMuch)
    throw new Error(`apt-get failed: ${stderr.trim().split('\n')[0] || `exit code ${code}`}`);
  // Not the folder: that is touched by an update that failed as well.
  const lists = (await readdir('/var/lib/apt/lists').catch(() => []))
    .filter((name) => /_(In)?Release$/.test(name))
    .map((name) => `/var/lib/apt/lists/${name}`);
  const stamps = ['/var/lib/apt/periodic/update-success-stamp', ...lists];
  const times = await Promise.all(
    stamps.map((path) =>
      stat(path).then(
        (s) => s.mtimeMs,
        () => 0,
      ),
    ),
  );
  // The mark is made by hooks of these packages; where there are none, that it is missing says nothing.
  const hooks = ['unattended-upgrades', 'update-notifier', 'zz-update-notifier'];
  const marked = await exists('/run/reboot-required');
  const marks = await Promise.all(hooks.map((hook) => exists(`/etc/kernel/postinst.d/${hook}`)));
  const reboot = marked ? true : marks.some(Boolean) ? false : null;
  return { ...parseApt(stdout), listedAt: Math.max(...times) || null, reboot };
}

async function dnf(signal: AbortSignal): Promise<Pending> {
  const run = (args: string[]) =>
    runCommand('dnf', ['-q', '--cacheonly', ...args], { signal, maxBytes: 8_388_608 });
  const [pending, security] = [await run(['check-update']), await run(['check-update', '--security'])];
  for (const { code, stderr } of [pending, security]) {
    if (code !== 0 && code !== 100)
      throw new Error(`dnf failed: ${stderr.trim().split('\n')[0] || `exit code ${code}`}`);
  }
  const names = (text: string) =>
    text
      .split('\n')
      .flatMap((line) => (/^\S+\.\S+\s+\S+\s+\S+/.test(line) ? [line.split(/\s+/)[0] ?? ''] : []));
  const { code } = await runCommand('dnf', ['-q', 'needs-restarting', '-r'], { signal });
  return {
    all: names(pending.stdout),
    security: names(security.stdout),
    listedAt: await stat('/var/cache/dnf').then(
      (s) => s.mtimeMs,
      () => null,
    ),
    reboot: code === 0 ? false : code === 1 ? true : null,
  };
}

async function pendingHere({ signal }: MeasureContext): Promise<Pending | undefined> {
  if (process.platform !== 'linux') return undefined;
  if (await exists('/usr/bin/apt-get')) return apt(signal);
  if (await exists('/usr/bin/dnf')) return dnf(signal);
  return undefined;
}

async function systemName(): Promise<string> {
  const release = await readFile('/etc/os-release', 'utf8').catch(() => '');
  return /^PRETTY_NAME="?([^"\n]*)/m.exec(release)?.[1] ?? process.platform;
}

/** Updates that the package manager would install, security ones among them, and whether a restart is due. */
export const updates = defineCheck({
  name: 'updates',
  about: 'Updates that are pending, security updates, restart required (apt, dnf)',
  runs: 'on-device',
  settings: z.strictObject({
    listDays: z
      .number()
      .min(1)
      .max(365)
      .default(7)
      .describe('How old the list of available updates may be before nothing can be said.'),
  }),
  values: {
    pending: { unit: 'updates', about: 'Pending updates', warning: 50 },
    security: { unit: 'updates', about: 'Security updates among them', warning: 1, critical: 20 },
    reboot: { unit: 'restarts', about: '1 where a restart is required', warning: 1 },
  },
  timeoutMs: () => 45_000,
  async measure(_device, { listDays }, around) {
    let found: Pending | undefined;
    try {
      found = await pendingHere(around);
    } catch (error) {
      around.signal.throwIfAborted();
      return unknown(reasonOf(error));
    }
    if (!found) return unknown(`no package manager that can be asked is known for ${await systemName()}`);
    const { all, security, listedAt, reboot } = found;
    const age = listedAt === null ? null : (around.clock.now().getTime() - listedAt) / dayMs;
    if (age === null || age > listDays) {
      const when = age === null ? 'never' : `${Math.floor(age)} days ago`;
      return unknown(
        `the list of available updates was fetched ${when}; no more than ${listDays} days count`,
      );
    }
    const restart = reboot ? ', restart required' : '';
    return [
      {
        message: `${count(all.length, 'update')} pending, ${security.length} for security${restart}`,
        values: [
          { name: 'pending', value: all.length, unit: 'updates' },
          { name: 'security', value: security.length, unit: 'updates' },
          { name: 'reboot', value: reboot === null ? null : reboot ? 1 : 0, unit: 'restarts' },
        ],
      },
    ];
  },
});
