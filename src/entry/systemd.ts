import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { Log } from '../domain/log.ts';

const run = promisify(execFile);

/** What systemd is told of a service of type notify; does nothing where systemd has not asked. */
export interface ServiceNotices {
  ready(status: string): Promise<void>;
  stopping(): Promise<void>;
}

/**
 * Tells systemd that the service is ready, and that it still works as long as `healthy` resolves. Node can't write to a
 * datagram socket itself, so systemd's own systemd-notify does; it is there wherever NOTIFY_SOCKET is set.
 *
 * Source of the protocol: sd_notify(3), sd_watchdog_enabled(3).
 */
export function serviceNotices(
  environment: Record<string, string | undefined>,
  log: Log,
  healthy: () => Promise<unknown>,
): ServiceNotices {
  const socket = environment['NOTIFY_SOCKET'];
  const watchdogMs = Number(environment['WATCHDOG_USEC'] ?? 0) / 1000;
  const meant = (environment['WATCHDOG_PID'] ?? String(process.pid)) === String(process.pid);
  let timer: NodeJS.Timeout | undefined;

  async function tell(...words: string[]): Promise<void> {
    if (!socket) return;
    await run('systemd-notify', words, {
      env: { PATH: environment['PATH'], NOTIFY_SOCKET: socket },
      timeout: 5000,
    }).catch((error: unknown) => log.warn({ err: error }, 'systemd could not be told'));
  }

  async function pat(): Promise<void> {
    try {
      await healthy();
    } catch (error) {
      log.error({ err: error }, 'Not well; the watchdog is not told otherwise');
      return;
    }
    await tell('WATCHDOG=1');
  }

  return {
    async ready(status) {
      await tell('--ready', `--pid=${process.pid}`, `--status=${status}`);
      if (socket && watchdogMs > 0 && meant) timer = setInterval(() => void pat(), watchdogMs / 2).unref();
    },
    async stopping() {
      clearInterval(timer);
      await tell('STOPPING=1');
    },
  };
}
