import type { Thresholds } from './check.ts';

/** The part of the configuration that jobs act on. */
export interface Settings {
  companyName: string;
  /** IANA zone for clients that name none. */
  timezone: string;
  thresholds: Thresholds;
  /** `host:port` pairs whose reachability a network check measures beside the gateway. */
  networkTargets: readonly string[];
  /** How many devices one probe job measures. */
  probeBatch: number;
  /** What happens to a mail whose fate is unknown after a crash: send it again, or leave it for a person. */
  uncertainMail: 'resend' | 'park';
  mailFrom: string;
  /** What the mail server takes in a minute from all processes together; without it there is no limit. */
  mailPerMinute?: number | undefined;
}
