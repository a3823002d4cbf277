import type { Statements } from '../storage/statements.ts';
import { resolve, type SettleContext } from './settle.ts';

/** What an alert is about whose device has stopped giving results: none of its checks, but that there are any. */
export const silentCheck = 'results';

/** Ends the alerts of devices that have given results again. */
export function endSilence(
  tx: Statements,
  clientId: string,
  deviceIds: ReadonlySet<string>,
  context: Pick<SettleContext, 'now' | 'tell'>,
): void {
  for (const alert of tx.openAlertsOf(clientId, silentCheck)) {
    if (deviceIds.has(alert.device_id)) resolve(tx, alert, 'recovery', 'there are results again', context);
  }
}
