import { hostname } from 'node:os';
import { listDevices } from '../../domain/device.ts';
import type { RmmAdapter } from '../../domain/rmm.ts';
import type { Storage } from '../../domain/storage/storage.ts';

/** What this host says of itself. */
async function hostFacts(): Promise<Record<string, unknown>> {
  const { cpu, mem, osInfo, system } = await import('systeminformation');
  const [os, processor, memory, machine] = await Promise.all([osInfo(), cpu(), mem(), system()]);
  return {
    system: `${os.distro} ${os.release} (${os.arch})`,
    kernel: os.kernel,
    processor: `${processor.manufacturer} ${processor.brand}`.trim(),
    cores: processor.cores,
    memoryBytes: memory.total,
    model: `${machine.manufacturer} ${machine.model}`.trim() || null,
  };
}

/** The inventory, with facts about the one device that can be looked into from here: this host. */
export function localRmm(storage: Storage, host: string = hostname()): RmmAdapter {
  return {
    name: 'local',
    async listDevices(clientId, signal) {
      const devices = await listDevices(storage, { clientId });
      signal.throwIfAborted();
      return Promise.all(
        devices.map(async (device) => {
          const here = device.name.toLowerCase() === host.toLowerCase();
          return {
            rmmDeviceId: device.rmmDeviceId ?? device.id,
            name: device.name,
            type: device.type,
            online: here ? true : null,
            lastSeen: device.lastSeen,
            facts: here ? await hostFacts() : {},
          };
        }),
      );
    },
    async executeCommand() {
      return { kind: 'unsupported', reason: 'the local inventory runs no commands' };
    },
    async deployAgent() {
      return { kind: 'unsupported', reason: 'no RMM is configured; this host is measured without an agent' };
    },
  };
}
