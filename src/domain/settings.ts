import type { CheckSettings } from './check/plan.ts';
import type { StatePolicy } from './check/state.ts';
import type { ThresholdSettings } from './check/thresholds.ts';

/** How health is judged, beside what a client or a device says of its own. */
export interface MonitorSettings {
  thresholds: ThresholdSettings;
  /** What differs for a tier. */
  tiers: Readonly<
    Record<string, { thresholds?: ThresholdSettings | undefined; checks?: readonly string[] | undefined }>
  >;
  /** Checks of devices that name none. */
  checks: readonly string[];
  /** Settings of checks for every device, under what it says itself. */
  checkSettings: CheckSettings;
  state: StatePolicy;
  /** How long a result counts at least if no newer one comes, in ms. */
  holdMs: number;
  /** Checks that tell whether a device is up. */
  reachability: readonly string[];
}

/** A way to tell people of alerts, without its secrets. */
export interface ChannelSettings {
  name: string;
  type: string;
  minSeverity: 'info' | 'warning' | 'critical';
  /** Absent: every client. */
  clients?: readonly string[] | undefined;
  /** Told only once an alert has been open for so long, in ms; 0 for at once. */
  afterMs: number;
}

export interface AlertSettings {
  channels: readonly ChannelSettings[];
  /** How long the first of several alerts waits for the others, so that a storm is one message, in ms. */
  groupMs: number;
  /** How often an alert that nobody takes up is told again, in ms; null for never. */
  remindMs: number | null;
}

/** The part of the configuration that jobs act on. */
export interface Settings {
  companyName: string;
  /** IANA zone for clients that name none. */
  timezone: string;
  monitor: MonitorSettings;
  alerts: AlertSettings;
  /** Whether planned maintenance counts neither for nor against availability, or like any other time. */
  maintenanceCounts: boolean;
  /** How many devices one probe job measures. */
  probeBatch: number;
  /** What happens to a mail whose fate is unknown after a crash: send it again, or leave it for a person. */
  uncertainMail: 'resend' | 'park';
  mailFrom: string;
  /** What the mail server takes in a minute from all processes together; without it there is no limit. */
  mailPerMinute?: number | undefined;
}
