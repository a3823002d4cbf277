import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import type { AlertEventName, Tell } from '../../src/domain/alert/settle.ts';
import type { Measurement } from '../../src/domain/check/check.ts';
import type { Recording } from '../../src/domain/check/record.ts';
import type { ThresholdSettings } from '../../src/domain/check/thresholds.ts';
import { addClient } from '../../src/domain/client.ts';
import { addDevice } from '../../src/domain/device.ts';
import { openStorage, type Storage } from '../../src/domain/storage/storage.ts';
import { handClock } from './engine.ts';
import { scratchHome } from './home.ts';
import { measured, recordMeasured } from './results.ts';

export interface Monitored {
  storage: Storage;
  clock: ReturnType<typeof handClock>;
  /** Ids of the devices by name. */
  devices: Record<string, string>;
  /** What channels would have been told, such as `opened web cpu`. */
  told: string[];
  /** Records a run over some devices, by name, five minutes after the one before unless `at` says otherwise. */
  run(
    found: Record<string, (Partial<Measurement> & { value?: number | null }) | Measurement[]>,
    options?: Partial<Omit<Recording, 'limits'>> & {
      thresholds?: ThresholdSettings;
      at?: string;
      complete?: boolean;
    },
  ): Promise<string>;
  /** Alerts that are not resolved: `critical open web cpu`. */
  alerts(): string[];
}

/** A client with devices whose measurements the test makes up, on a clock of its own. */
export async function monitored(
  devices: Record<string, Record<string, unknown>> = { web: {} },
  options: { timezone?: string; start?: string } = {},
): Promise<Monitored> {
  const clock = handClock(options.start ?? '2026-06-01T00:00:00.000Z');
  const who = { actor: 'test', clock };
  const storage = await openStorage(join(await scratchHome(), 'toolkit.db'));
  onTestFinished(() => storage.close());
  await addClient(storage, who, { name: 'Acme', timezone: options.timezone ?? 'UTC' });
  const ids: Record<string, string> = {};
  for (const [name, metadata] of Object.entries(devices)) {
    ids[name] = (await addDevice(storage, who, { clientId: 'acme', name, metadata })).id;
  }
  const told: string[] = [];
  const nameOf = (id: string) => Object.keys(ids).find((name) => ids[name] === id) ?? id;
  const tell: Tell = (_tx, alert, event: AlertEventName) => {
    told.push([event, nameOf(alert.device_id), alert.check_name, alert.instance].filter(Boolean).join(' '));
  };
  return {
    storage,
    clock,
    devices: ids,
    told,
    async run(found, { at, ...rest } = {}) {
      clock.set(at ?? new Date(clock.now().getTime() + 300_000).toISOString());
      const now = clock.now().toISOString();
      const byDevice = Object.fromEntries(
        Object.entries(found).map(([name, what]) => [
          ids[name] ?? name,
          Array.isArray(what) ? what.map((m) => ({ ...m, at: now })) : [measured(now, what)],
        ]),
      );
      await recordMeasured(storage, 'acme', byDevice, { tell, now: clock.now(), ...rest });
      return now;
    },
    alerts: () =>
      storage.read
        .alerts({ limit: 100 })
        .map((a) =>
          [a.severity, a.state, nameOf(a.device_id), a.check_name, a.instance].filter(Boolean).join(' '),
        ),
  };
}
