import { statfs } from 'node:fs/promises';
import { z } from 'zod';
import { defineCheck, type Finding, type Trend, unknown } from '../../domain/check/check-type.ts';
import { bytes, lookAt, percent, reasonOf } from './probe.ts';

/** File systems that are read-only images or live in memory fill up by design or not at all. */
const notStorage = new Set([
  'squashfs',
  'iso9660',
  'tmpfs',
  'devtmpfs',
  'overlay',
  'erofs',
  'efivarfs',
  'ramfs',
  'proc',
  'sysfs',
]);

/** A server that is away would hold whoever asks it, so its inodes are not asked for. */
const remote = /^(nfs|cifs|smb|fuse|9p|afs|ceph|glusterfs)/i;

const dayMs = 86_400_000;

/**
 * Days until a file system is full if it goes on filling up as it has, by least squares; null where it does not fill up,
 * or too little is known: less than three days.
 */
export function daysUntilFull(trend: Trend, now: number, used: number): number | null {
  const points = [...trend, [now, used] as const];
  const first = points[0]?.[0] ?? now;
  if (points.length < 4 || now - first < 3 * dayMs) return null;
  const x = points.map(([at]) => (at - now) / dayMs);
  const y = points.map(([, value]) => value);
  const mean = (all: readonly number[]) => all.reduce((a, b) => a + b, 0) / all.length;
  const [mx, my] = [mean(x), mean(y)];
  const spread = x.reduce((sum, xi) => sum + (xi - mx) ** 2, 0);
  const slope = x.reduce((sum, xi, i) => sum + (xi - mx) * ((y[i] ?? my) - my), 0) / spread;
  // Less than a percent a year is no trend.
  if (!(slope > 1 / 365)) return null;
  return Math.max(0, Math.round(((100 - used) / slope) * 10) / 10);
}

/** A file system as the list of mounted ones has it, which may be older than what is mounted. */
interface Mounted {
  mount: string;
  type: string;
  size: number;
  available: number;
  use: number;
}

/** What is to be said of one file system; one that went away meanwhile is not known. */
export async function findingOf(fs: Mounted, trend: Trend, now: number): Promise<Finding> {
  const used = Math.round(fs.use * 10) / 10;
  let inodes: number | null = null;
  try {
    const { files, ffree } = remote.test(fs.type)
      ? { files: 0, ffree: 0 }
      : await lookAt(fs.mount, () => statfs(fs.mount));
    if (files > 0) inodes = percent(files - ffree, files);
  } catch (error) {
    return {
      instance: fs.mount,
      status: 'unknown',
      message: `it went away while it was measured: ${reasonOf(error)}`,
    };
  }
  const days = daysUntilFull(trend, now, used);
  const ahead = days === null ? '' : `, full in ${days} days if this goes on`;
  return {
    instance: fs.mount,
    message: `${bytes(fs.available)} free of ${bytes(fs.size)} (${fs.type})${ahead}`,
    values: [
      { name: 'used', value: used, unit: '%' },
      { name: 'inodes', value: inodes, unit: '%' },
      { name: 'days', value: days, unit: 'days' },
    ],
  };
}

/** Space and inodes in use on each mounted file system that stores data, as `df` counts them. */
export const disk = defineCheck({
  name: 'disk',
  about: 'Each file system: space, inodes, days until it is full',
  runs: 'on-device',
  settings: z.strictObject({
    exclude: z.array(z.string()).default([]).describe('Mount points that are of no interest.'),
  }),
  values: {
    used: { unit: '%', about: 'Space in use', warning: 85, critical: 95 },
    inodes: { unit: '%', about: 'Inodes in use', warning: 90, critical: 95 },
    days: {
      unit: 'days',
      about: 'Days until it is full, by the trend of a month',
      worse: 'below',
      warning: 14,
      critical: 3,
    },
  },
  timeoutMs: () => 15_000,
  discovers: true,
  trend: 'used',
  async measure(_device, { exclude }, { clock, trend }) {
    const { fsSize } = await import('systeminformation');
    const mounted = (await fsSize()).filter((fs) => fs.size > 0 && !exclude.includes(fs.mount));
    const storage = mounted.filter((fs) => !notStorage.has(fs.type.toLowerCase()));
    // In a container the root is often an overlay: then that is the disk there is.
    const measured = storage.length > 0 ? storage : mounted.filter((fs) => fs.mount === '/');
    if (measured.length === 0) return unknown('no mounted file system was found');
    const byMount = new Map(measured.map((fs) => [fs.mount, fs]));
    const now = clock.now().getTime();
    return Promise.all([...byMount.values()].map((fs) => findingOf(fs, trend[fs.mount] ?? [], now)));
  },
});
