import { runCommand } from './command.ts';

export interface Echo {
  sent: number;
  /** In percent. */
  loss: number;
  /** Mean time of those that came back, in ms. */
  latency: number | null;
}

/** Reads what `ping` prints at its end: iputils, BusyBox, BSD, macOS and Windows. */
export function parsePing(output: string): Echo | undefined {
  const sent =
    /(\d+) packets transmitted, (\d+)(?: packets)? received/.exec(output) ??
    /Sent = (\d+), Received = (\d+)/.exec(output);
  if (!sent) return undefined;
  const [n, back] = [Number(sent[1]), Number(sent[2])];
  if (n === 0) return undefined;
  const mean = /= [\d.]+\/([\d.]+)\/[\d.]+/.exec(output) ?? /Average = (\d+)ms/.exec(output);
  return { sent: n, loss: Math.round(((n - back) / n) * 1000) / 10, latency: mean ? Number(mean[1]) : null };
}

/** Longest that `echo` takes, in ms. */
export function echoMs(count: number, replySeconds: number): number {
  return count * 200 + replySeconds * 1000 + 2000;
}

/**
 * Sends echo requests with the system's own `ping`, which has the right to. Throws where that is missing or can't send.
 *
 * @param replySeconds how long to wait for an answer
 */
export async function echo(
  host: string,
  count: number,
  replySeconds: number,
  signal: AbortSignal,
): Promise<Echo> {
  const ms = Math.round(replySeconds * 1000);
  const args =
    process.platform === 'win32'
      ? ['-n', String(count), '-w', String(ms), host]
      : process.platform === 'darwin'
        ? ['-n', '-q', '-c', String(count), '-i', '0.2', '-W', String(ms), host]
        : [
            '-n',
            '-q',
            '-c',
            String(count),
            '-i',
            '0.2',
            '-W',
            String(Math.max(1, Math.ceil(replySeconds))),
            host,
          ];
  const ran = await runCommand('ping', args, { signal }).catch((error: unknown) => {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') {
      throw new Error('there is no ping here; on Debian: apt-get install iputils-ping');
    }
    throw error;
  });
  const found = parsePing(ran.stdout);
  if (found) return found;
  throw new Error(
    ran.stderr
      .trim()
      .split('\n')[0]
      ?.replace(/^ping: /, '') || `ping ended with ${ran.code}`,
  );
}
