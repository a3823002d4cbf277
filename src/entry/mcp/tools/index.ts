import type { Tool } from '../tool.ts';
import { alertAcknowledge } from './alert-acknowledge.ts';
import { alertList } from './alert-list.ts';
import { clientList } from './client-list.ts';
import { clientOnboard } from './client-onboard.ts';
import { deviceAdd } from './device-add.ts';
import { deviceList } from './device-list.ts';
import { executeWorkflow } from './execute-workflow.ts';
import { healthCheck } from './health-check.ts';
import { healthHistory } from './health-history.ts';
import { jobCancel } from './job-cancel.ts';
import { jobList } from './job-list.ts';
import { jobStatus } from './job-status.ts';
import { jobWait } from './job-wait.ts';
import { reportGenerate } from './report-generate.ts';
import { scheduleList } from './schedule-list.ts';

/** Every tool there is. A new one is a file and a line here. */
export const tools = [
  clientList,
  clientOnboard,
  deviceList,
  deviceAdd,
  healthCheck,
  healthHistory,
  alertList,
  alertAcknowledge,
  reportGenerate,
  jobList,
  jobStatus,
  jobWait,
  jobCancel,
  scheduleList,
  executeWorkflow,
] as unknown as readonly Tool[];
