import { cpus, loadavg } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { percent, type Probe } from './probe.ts';

/** How long the processors are watched, in ms; a single moment would say little. */
const windowMs = 1000;

function ticks(): { busy: number; total: number } {
  let busy = 0;
  let total = 0;
  for (const { times } of cpus()) {
    const all = times.user + times.nice + times.sys + times.idle + times.irq;
    total += all;
    busy += all - times.idle;
  }
  return { busy, total };
}

/** Share of processor time in use over a window, over all cores, in percent. */
export const cpu: Probe = {
  check: 'cpu',
  async measure(_device, _wish, signal) {
    const before = ticks();
    await delay(windowMs, undefined, { signal });
    const after = ticks();
    const total = after.total - before.total;
    if (total <= 0)
      return [
        { status: 'unknown', value: null, unit: null, message: 'the kernel counted no processor time' },
      ];
    const value = percent(after.busy - before.busy, total);
    const load = loadavg()
      .map((n) => n.toFixed(2))
      .join(' ');
    return [{ value, unit: '%', message: `${value} % of ${cpus().length} cores in use, load ${load}` }];
  },
};
