import { hostname } from 'node:os';
import { type Measurement, unmeasured } from '../../domain/check.ts';
import type { Clock } from '../../domain/clock.ts';
import type { Prober } from '../../domain/ports.ts';
import { cpu } from './cpu.ts';
import { disk } from './disk.ts';
import { memory } from './memory.ts';
import { network } from './network.ts';
import type { Probe } from './probe.ts';
import { services } from './services.ts';

/** Every probe there is. */
export const probes: readonly Probe[] = [cpu, memory, disk, services, network];

/** Measures a device that is this host; any other is `unknown`, since nothing here can reach into it. */
export function localProber(clock: Clock, host: string = hostname()): Prober {
  return {
    async measure(device, wish, signal) {
      const now = () => clock.now().toISOString();
      if (device.name.toLowerCase() !== host.toLowerCase()) {
        const reason = `${device.name} is not this host (${host}), and no RMM that could measure it is configured`;
        return wish.checks.map((check) => unmeasured(check, reason, now()));
      }
      const wanted = probes.filter((probe) => wish.checks.includes(probe.check));
      const found = await Promise.all(
        wanted.map(async (probe): Promise<Measurement[]> => {
          try {
            const findings = await probe.measure(device, wish, signal);
            const at = now();
            return findings.map((f) => ({ instance: '', status: null, ...f, check: probe.check, at }));
          } catch (error) {
            signal.throwIfAborted();
            return [unmeasured(probe.check, error instanceof Error ? error.message : String(error), now())];
          }
        }),
      );
      return found.flat();
    },
  };
}
