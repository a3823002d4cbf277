import { v7 as newId } from 'uuid';
import { fingerprintOf } from '../domain/alert/alert.ts';
import { covers, isOpen, toWindow } from '../domain/maintenance.ts';
import type { Settings } from '../domain/settings.ts';
import type { Statements } from '../domain/storage/statements.ts';
import { silentCheck } from '../domain/alert/silence.ts';
import { teller } from '../jobs/alert-notify.ts';
import type { Engine } from '../jobs/engine/engine.ts';

/** How long after the last result of a device has ceased to count its silence is told, in ms. */
const graceMs = 300_000;

/**
 * Raises an alert for each device whose results have stopped coming although a schedule asks for them: a check that dies
 * each time, or workers that are not there, must not look like peace. Its next results resolve it. Answers with how many
 * alerts were raised.
 */
export async function watchSilence(
  { storage, clock }: Pick<Engine, 'storage' | 'clock'>,
  settings: Pick<Settings, 'alerts'>,
): Promise<number> {
  const now = clock.now();
  const iso = now.toISOString();
  const scheduled = scheduledClients(storage.read);
  const silent = storage.read
    .silentDevices(new Date(now.getTime() - graceMs).toISOString())
    .filter(({ client_id }) => scheduled.all || scheduled.ids.has(client_id));
  if (silent.length === 0) return 0;
  return storage.write((tx) => {
    let raised = 0;
    for (const { client_id: clientId, device_id: deviceId, until } of silent) {
      const windows = tx.windows(clientId, iso).map(toWindow);
      if (windows.some((w) => covers(w, { clientId, deviceId }) && isOpen(w, now.getTime()))) continue;
      const id = newId();
      const alert = tx.openAlert({
        id,
        client_id: clientId,
        device_id: deviceId,
        check_name: silentCheck,
        instance: '',
        severity: 'warning',
        message: `no results since ${until}, though a schedule asks for them`,
        fingerprint: fingerprintOf({ clientId, deviceId, check: silentCheck, instance: '' }),
        now: iso,
      });
      if (alert.id !== id) continue;
      raised += 1;
      tx.addAlertEvent(id, { at: iso, what: 'opened', who: 'monitor', note: `warning: ${alert.message}` });
      teller({ settings, storage, clock }, clientId)(tx, alert, 'opened');
    }
    return raised;
  });
}

/** Clients that a schedule has checked. */
function scheduledClients(tx: Statements): { all: boolean; ids: Set<string> } {
  const payloads = tx
    .schedules()
    .filter((schedule) => schedule.job_type === 'health.check' && schedule.paused === 0)
    .map((schedule) => JSON.parse(schedule.payload) as { clientId?: string; all?: boolean });
  return {
    all: payloads.some((payload) => payload.all === true),
    ids: new Set(payloads.flatMap(({ clientId }) => clientId ?? [])),
  };
}
