import { cpus, loadavg } from 'node:os';
import { z } from 'zod';
import { defineCheck, unknown } from '../../domain/check/check-type.ts';
import { pause, percent } from './probe.ts';

interface Times {
  busy: number;
  total: number;
}

function times(): Times[] {
  return cpus().map(({ times: t }) => {
    const total = t.user + t.nice + t.sys + t.idle + t.irq;
    return { busy: total - t.idle, total };
  });
}

/** Processor time in use over a while, on the whole and of the busiest core, and how many want some. */
export const cpu = defineCheck({
  name: 'cpu',
  about: 'Processor in use, averaged over a sampling window',
  runs: 'on-device',
  settings: z.strictObject({
    windowSeconds: z.number().min(0.2).max(60).default(2).describe('How long to measure.'),
  }),
  values: {
    usage: { unit: '%', about: 'Time in use, all cores', warning: 85, critical: 95 },
    core: { unit: '%', about: 'Time in use of the busiest core' },
    load: { unit: 'per core', about: 'Programs that want to run, mean of 5 minutes, for each core' },
  },
  timeoutMs: ({ windowSeconds }) => windowSeconds * 1000 + 5000,
  async measure(_device, { windowSeconds }, { signal }) {
    const before = times();
    await pause(windowSeconds * 1000, signal);
    const cores = times().map((now, i) => ({
      busy: now.busy - (before[i]?.busy ?? 0),
      total: now.total - (before[i]?.total ?? 0),
    }));
    const total = cores.reduce((sum, core) => sum + core.total, 0);
    if (!(total > 0)) return unknown('the system counted no processor time');
    const usage = percent(
      cores.reduce((sum, core) => sum + core.busy, 0),
      total,
    );
    const busiest = Math.max(...cores.map((core) => (core.total > 0 ? percent(core.busy, core.total) : 0)));
    const load = process.platform === 'win32' ? null : loadavg()[1];
    const perCore = load == null ? null : Math.round((load / cores.length) * 100) / 100;
    const all = loadavg()
      .map((n) => n.toFixed(2))
      .join(' ');
    return [
      {
        message: `${usage} % of ${cores.length} cores in use over ${windowSeconds} s, busiest core ${busiest} %${load == null ? '' : `, load ${all}`}`,
        values: [
          { name: 'usage', value: usage, unit: '%' },
          { name: 'core', value: busiest, unit: '%' },
          { name: 'load', value: perCore, unit: 'per core' },
        ],
      },
    ];
  },
});
