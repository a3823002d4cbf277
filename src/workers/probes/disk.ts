import { bytes, type Probe, unknown } from './probe.ts';

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

/** Space in use on each mounted file system that stores data, in percent as `df` counts it. */
export const disk: Probe = {
  check: 'disk',
  async measure() {
    const { fsSize } = await import('systeminformation');
    const mounted = (await fsSize()).filter((fs) => fs.size > 0);
    const storage = mounted.filter((fs) => !notStorage.has(fs.type.toLowerCase()));
    // In a container the root is often an overlay: then that is the disk there is.
    const measured = storage.length > 0 ? storage : mounted.filter((fs) => fs.mount === '/');
    if (measured.length === 0) return unknown('no mounted file system was found');
    const byMount = new Map(measured.map((fs) => [fs.mount, fs]));
    return [...byMount.values()].map((fs) => ({
      instance: fs.mount,
      value: Math.round(fs.use * 10) / 10,
      unit: '%',
      message: `${bytes(fs.available)} free of ${bytes(fs.size)} (${fs.type})`,
    }));
  },
};
