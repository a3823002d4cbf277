import { alertNotify } from './alert-notify.ts';
import { clientOnboard } from './client-onboard.ts';
import { createRegistry } from './engine/define.ts';
import { healthCheck } from './health-check.ts';
import { healthProbe } from './health-probe.ts';
import { historyRollup } from './history-rollup.ts';
import { reportGenerate } from './report-generate.ts';
import { reportSend } from './report-send.ts';

/** Every job type there is. Adding one to this list is all the registration it needs. */
export const registry = createRegistry([
  clientOnboard,
  healthCheck,
  healthProbe,
  historyRollup,
  alertNotify,
  reportGenerate,
  reportSend,
]);
