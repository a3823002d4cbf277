import { readdir, readFile, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { z } from 'zod';
import { defineCheck, type Finding } from '../../domain/check/check-type.ts';
import { bytes, count, lookAt, reasonOf } from './probe.ts';

const hourMs = 3_600_000;

/** A report that is longer is none. */
const mostBytes = 1_048_576;

/** Files of a folder that are looked at; one with more is no place for backups. */
const mostFiles = 10_000;

const settings = z
  .strictObject({
    name: z.string().min(1).max(100).default('backup').describe('What to call it.'),
    folder: z.string().min(1).optional().describe('Where backups are put as files; the newest one counts.'),
    matching: z.string().min(1).optional().describe('What their names contain, such as .tar.zst.'),
    minBytes: z.int().min(0).default(1).describe('A smaller file is no backup.'),
    report: z
      .string()
      .min(1)
      .optional()
      .describe('A JSON file that the backup program writes at its end; instead of a folder.'),
    timeField: z.string().default('finishedAt').describe("The report's field with the time of the end."),
    resultField: z.string().default('result').describe('Its field with the result.'),
    success: z
      .array(z.string())
      .min(1)
      .default(['success', 'ok', 'true', '0'])
      .describe('Results that are good.'),
  })
  .refine((s) => (s.folder === undefined) !== (s.report === undefined), 'name either a folder or a report');

type Settings = z.infer<typeof settings>;

interface Last {
  at: number;
  what: string;
  size: number | null;
  problem?: string;
}

/** The newest file of a folder that can be a backup. */
async function newestIn(folder: string, wish: Settings): Promise<Last | string> {
  const names = (await readdir(folder)).filter((name) => !wish.matching || name.includes(wish.matching));
  if (names.length > mostFiles) return `${folder} holds ${names.length} files, too many to look at`;
  let newest: Last | undefined;
  for (const name of names) {
    const file = await stat(join(folder, name)).catch(() => undefined);
    if (file?.isFile() && file.mtimeMs > (newest?.at ?? 0))
      newest = { at: file.mtimeMs, what: name, size: file.size };
  }
  if (!newest)
    return `${folder} holds no backup${wish.matching ? ` whose name contains "${wish.matching}"` : ''}`;
  if ((newest.size ?? 0) < wish.minBytes) {
    newest.problem = `it has ${bytes(newest.size ?? 0)}, less than ${bytes(wish.minBytes)}`;
  }
  return newest;
}

/** What a backup program wrote down. */
async function lastReported(report: string, wish: Settings): Promise<Last | string> {
  const file = await stat(report);
  if (!file.isFile() || file.size > mostBytes) return `${report} is no file of less than ${bytes(mostBytes)}`;
  const text = await readFile(report, 'utf8');
  let written: Record<string, unknown>;
  try {
    written = z.record(z.string(), z.unknown()).parse(JSON.parse(text));
  } catch {
    return `${report} is not a JSON object`;
  }
  const time = written[wish.timeField];
  const at = typeof time === 'number' ? (time < 1e11 ? time * 1000 : time) : Date.parse(String(time));
  if (!Number.isFinite(at)) return `${report} has no time in "${wish.timeField}"`;
  const outcome = String(written[wish.resultField]);
  const good = wish.success.some((word) => word.toLowerCase() === outcome.toLowerCase());
  return {
    at,
    what: basename(report),
    size: null,
    ...(good ? {} : { problem: `its result is "${outcome}"` }),
  };
}

/** How old the last backup is, and whether it went well. */
export const backup = defineCheck({
  name: 'backup',
  about: 'The last backup: its age and its result',
  runs: 'on-device',
  settings,
  values: {
    age: { unit: 'hours', about: 'Age of the last backup', warning: 26, critical: 50 },
    size: { unit: 'bytes', about: 'Its size' },
  },
  timeoutMs: () => 15_000,
  async measure(_device, wish, { clock }): Promise<Finding[]> {
    const instance = wish.name;
    let last: Last | string;
    try {
      const { folder, report = '' } = wish;
      last = await lookAt(folder ?? report, () =>
        folder ? newestIn(folder, wish) : lastReported(report, wish),
      );
    } catch (error) {
      return [{ instance, status: 'unknown', message: `the backup can't be looked at: ${reasonOf(error)}` }];
    }
    const missing = { name: 'age', value: null, unit: 'hours' };
    if (typeof last === 'string') return [{ instance, status: 'critical', message: last, values: [missing] }];
    const hours = Math.round(((clock.now().getTime() - last.at) / hourMs) * 10) / 10;
    const values = [
      { name: 'age', value: Math.max(0, hours), unit: 'hours' },
      { name: 'size', value: last.size, unit: 'bytes' },
    ];
    const size = last.size === null ? '' : `, ${bytes(last.size)}`;
    const said = `${last.what}${size}, ${hours < 48 ? count(hours, 'hour') : count(Math.round(hours / 24), 'day')} old`;
    // Half an hour of difference between two clocks is nobody's fault.
    if (hours < -0.5)
      return [
        { instance, status: 'unknown', message: `${last.what} is from the future, so nothing can be said` },
      ];
    if (last.problem) return [{ instance, status: 'critical', message: `${said}: ${last.problem}`, values }];
    return [{ instance, status: 'healthy', message: said, values }];
  },
});
