import type { AlertMessage } from './alert/message.ts';
import type { Measurement } from './check/check.ts';
import type { Catalogue, Trend } from './check/check-type.ts';
import type { PlannedCheck } from './check/plan.ts';
import type { Device } from './device.ts';
import type { ReportFormat } from './report.ts';
import type { RmmAdapter } from './rmm.ts';

/** What a probe needs to know of a device; it never sees the database. */
export type ProbeTarget = Pick<Device, 'id' | 'name' | 'type' | 'rmmDeviceId' | 'metadata'>;

/** What is to be measured on a device. */
export interface ProbeWish {
  checks: readonly PlannedCheck[];
  /** Earlier values of the types that ask for them, by check and instance. */
  trends: Readonly<Record<string, Readonly<Record<string, Trend>>>>;
}

/** Measures devices. A device that can't be measured is answered with `unknown` and the reason, not with an error. */
export interface Prober {
  measure(device: ProbeTarget, wish: ProbeWish, signal: AbortSignal): Promise<Measurement[]>;
}

export interface RenderedReport {
  bytes: Buffer;
  extension: string;
}

/** Makes a document from a report template and the data that stands for it. */
export interface ReportRenderer {
  /** Names of the templates that exist. */
  templates(): Promise<string[]>;
  /** Throws TEMPLATE_NOT_FOUND, TEMPLATE_INVALID, BROWSER_MISSING or BROWSER_FAILED. */
  render(
    template: string,
    format: ReportFormat,
    data: Record<string, unknown>,
    signal: AbortSignal,
  ): Promise<RenderedReport>;
}

export interface MailMessage {
  messageId: string;
  to: string;
  subject: string;
  text: string;
  attachments: { filename: string; path: string; contentType: string }[];
}

/** Hands a message to an SMTP server. */
export interface Mailer {
  /**
   * Answers with the server's words once it has taken the message. Throws MAIL_NOT_CONFIGURED, MAIL_AUTH,
   * MAIL_REJECTED, MAIL_UNAVAILABLE (nothing was handed over) or MAIL_UNCERTAIN (the connection broke after the
   * message went out and before the answer came).
   */
  send(message: MailMessage, signal: AbortSignal): Promise<{ response: string }>;
  /** Whether a server answers; throws like `send`. */
  verify(): Promise<void>;
}

export interface OnboardingTemplates {
  names(): Promise<string[]>;
  /** The template's YAML as data, not yet validated. Throws TEMPLATE_NOT_FOUND or TEMPLATE_INVALID. */
  read(name: string): Promise<unknown>;
}

/** Files that reports go to. */
export interface ReportFiles {
  /** Writes all of the bytes under `name` or nothing; answers with the full path. Throws DISK_FULL. */
  write(name: string, bytes: Buffer): Promise<string>;
}

/** Tells people of alerts. */
export interface Channels {
  /**
   * Sends a message through a configured channel and answers with what the other side said. Throws CHANNEL_UNKNOWN,
   * CHANNEL_REJECTED (not to be tried again), CHANNEL_UNAVAILABLE, or what a mailer throws.
   */
  send(channel: string, message: AlertMessage, signal: AbortSignal): Promise<{ response: string }>;
}

/** The outside world, as jobs see it. */
export interface Ports {
  /** Every check type there is. */
  catalogue: Catalogue;
  prober: Prober;
  channels: Channels;
  rmm: RmmAdapter;
  renderer: ReportRenderer;
  reportFiles: ReportFiles;
  mailer: Mailer;
  onboarding: OnboardingTemplates;
}
