import { access, constants, realpath, stat } from 'node:fs/promises';
import { basename, isAbsolute, join, sep } from 'node:path';
import { z } from 'zod';
import type { Status } from '../../domain/check/check.ts';
import { defineCheck, type Finding } from '../../domain/check/check-type.ts';
import { runCommand } from './command.ts';
import { parsePluginOutput } from './perfdata.ts';
import { bytes, reasonOf, timeoutSchema } from './probe.ts';

/** What a plugin may print. */
const maxBytes = 262_144;

const statusOf: Record<number, Status> = { 0: 'healthy', 1: 'warning', 2: 'critical', 3: 'unknown' };

/** The file to run, or why it may not be. A link that leads out of the folders leads nowhere. */
async function permitted(command: string, folders: readonly string[]): Promise<{ file: string } | string> {
  if (folders.length === 0)
    return 'no folder of plugins is allowed on this machine (healthChecks.pluginFolders in its configuration)';
  const candidates = isAbsolute(command) ? [command] : folders.map((folder) => join(folder, command));
  for (const candidate of candidates) {
    const file = await realpath(candidate).catch(() => undefined);
    if (file === undefined) continue;
    const roots = await Promise.all(folders.map((folder) => realpath(folder).catch(() => folder)));
    if (!roots.some((root) => file.startsWith(root.endsWith(sep) ? root : root + sep)))
      return `${command} is not in a folder of plugins that is allowed here`;
    const about = await stat(file);
    if (!about.isFile()) return `${command} is not a file`;
    if (process.platform !== 'win32' && about.mode & 0o002)
      return `${command} may be changed by anybody, so it is not run`;
    if (
      !(await access(file, constants.X_OK).then(
        () => true,
        () => false,
      ))
    )
      return `${command} can't be executed`;
    return { file };
  }
  return `there is no plugin ${command} in ${folders.join(', ')}`;
}

/** Any monitoring plugin of the Nagios and Icinga kind, run without a shell. */
export const plugin = defineCheck({
  name: 'plugin',
  about: 'A Nagios or Icinga monitoring plugin: exit code, text, performance data',
  runs: 'anywhere',
  settings: z.strictObject({
    name: z.string().min(1).max(100).optional().describe('What to call it; default: the name of the file.'),
    command: z.string().min(1).max(500).describe('A file in an allowed folder, such as check_http.'),
    args: z.array(z.string().max(2000)).max(100).default([]).describe('Its arguments, one by one.'),
    timeoutSeconds: timeoutSchema(10),
  }),
  values: {},
  openValues: true,
  timeoutMs: ({ timeoutSeconds }) => timeoutSeconds * 1000 + 2000,
  async measure(_device, { name, command, args, timeoutSeconds }, around): Promise<Finding[]> {
    const instance = name ?? basename(command);
    const unknown = (message: string): Finding[] => [{ instance, status: 'unknown', message }];
    const allowed = await permitted(command, around.pluginFolders);
    if (typeof allowed === 'string') return unknown(allowed);
    const limit = AbortSignal.timeout(timeoutSeconds * 1000);
    try {
      const signal = AbortSignal.any([around.signal, limit]);
      const ran = await runCommand(allowed.file, args, { signal, maxBytes });
      if (ran.tooMuch) return unknown(`it printed more than ${bytes(maxBytes)} and was ended`);
      if (ran.code === null) return unknown(`it was ended by ${ran.signal ?? 'a signal'}`);
      const status = statusOf[ran.code];
      const { text, values, breached, unread } = parsePluginOutput(ran.stdout);
      if (!status)
        return unknown(
          `it ended with ${ran.code}, which means nothing: ${text || ran.stderr.trim().slice(0, 200)}`,
        );
      const notes = [
        ...(unread > 0
          ? [`${unread} piece${unread === 1 ? '' : 's'} of its performance data can't be read`]
          : []),
        ...(status === 'healthy' && breached.length > 0
          ? [`outside of its own ranges: ${breached.join(', ')}`]
          : []),
      ];
      const said = text || ran.stderr.trim().split('\n')[0]?.slice(0, 200) || 'it printed nothing';
      return [{ instance, status, message: [said, ...notes].join('; '), values }];
    } catch (error) {
      around.signal.throwIfAborted();
      if (limit.aborted) return unknown(`it did not end within ${timeoutSeconds} s and was ended`);
      return unknown(`it could not be run: ${reasonOf(error)}`);
    }
  },
});
