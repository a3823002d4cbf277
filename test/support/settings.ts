import type { Settings } from '../../src/domain/settings.ts';
import type { Retention } from '../../src/scheduler/housekeeping.ts';

/** Settings for engines whose jobs are the tests' own. */
export const plainSettings: Settings = {
  companyName: 'Test MSP',
  timezone: 'UTC',
  monitor: {
    thresholds: {},
    tiers: {},
    checks: ['cpu'],
    checkSettings: {},
    state: { attempts: 3, flapping: { startsAbove: 30, endsAtOrBelow: 25 } },
    holdMs: 900_000,
    reachability: ['ping'],
  },
  alerts: { channels: [], groupMs: 0, remindMs: null },
  maintenanceCounts: false,
  probeBatch: 2,
  uncertainMail: 'resend',
  mailFrom: 'reports@msp.example',
};

/** How long what has ended is kept, as by default. */
export const plainRetention: Retention = {
  keepDays: 30,
  keepFailedDays: 90,
  history: { rawDays: 2, minuteDays: 7, hourDays: 400, dayDays: 1830 },
};
