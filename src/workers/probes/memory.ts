import { z } from 'zod';
import { defineCheck, unknown } from '../../domain/check/check-type.ts';
import { bytes, percent } from './probe.ts';

/** Memory that programs could not get: what caches hold counts as free, since it is given back. */
export const memory = defineCheck({
  name: 'memory',
  about: 'Memory that is not available, and swap in use',
  runs: 'on-device',
  settings: z.strictObject({}),
  values: {
    used: { unit: '%', about: 'Memory that is not available', warning: 90, critical: 95 },
    swap: { unit: '%', about: 'Swap in use' },
  },
  timeoutMs: () => 10_000,
  async measure() {
    const { mem } = await import('systeminformation');
    const { total, available, swaptotal, swapused } = await mem();
    if (!(total > 0)) return unknown('the system does not tell its memory');
    const hasSwap = swaptotal > 0;
    const swap = hasSwap ? `swap ${bytes(swapused)} of ${bytes(swaptotal)}` : 'no swap';
    return [
      {
        message: `${bytes(available)} of ${bytes(total)} available, ${swap}`,
        values: [
          { name: 'used', value: percent(total - available, total), unit: '%' },
          { name: 'swap', value: hasSwap ? percent(swapused, swaptotal) : null, unit: '%' },
        ],
      },
    ];
  },
});
