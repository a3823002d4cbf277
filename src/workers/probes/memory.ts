import { bytes, percent, type Probe, unknown } from './probe.ts';

/** Memory that programs could not get, in percent: what caches hold counts as free, since it is given back. */
export const memory: Probe = {
  check: 'memory',
  async measure() {
    const { mem } = await import('systeminformation');
    const { total, available, swaptotal, swapused } = await mem();
    if (!(total > 0)) return unknown('the system does not tell its memory');
    const value = percent(total - available, total);
    const swap = swaptotal > 0 ? `, swap ${bytes(swapused)} of ${bytes(swaptotal)}` : ', no swap';
    return [{ value, unit: '%', message: `${bytes(total - available)} of ${bytes(total)} in use${swap}` }];
  },
};
