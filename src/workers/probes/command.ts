export interface Ran {
  /** null where a signal ended it. */
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
  /** It printed more than `maxBytes` and was ended for it. */
  tooMuch: boolean;
}

export interface CommandOptions {
  signal: AbortSignal;
  /** What it may print before it is ended. */
  maxBytes?: number;
}

/** How long output may still come after the program itself has ended: what it started may hold the pipe. In ms. */
const lingerMs = 300;

/**
 * Runs a program without a shell, in a process group of its own that is ended with it, so that nothing it started stays
 * behind. Rejects when it can't be started or the signal is aborted.
 */
export async function runCommand(
  file: string,
  args: readonly string[],
  { signal, maxBytes = 1_048_576 }: CommandOptions,
): Promise<Ran> {
  const { spawn } = await import('node:child_process');
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const grouped = process.platform !== 'win32';
    const child = spawn(file, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: grouped,
      // Messages are read by programs and people alike: without a locale they are the same everywhere.
      env: { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C' },
      windowsHide: true,
    });
    const parts: Record<'stdout' | 'stderr', Buffer[]> = { stdout: [], stderr: [] };
    let size = 0;
    let tooMuch = false;
    let linger: NodeJS.Timeout | undefined;
    let exit: { code: number | null; signal: NodeJS.Signals | null } | undefined;

    function endAll(): void {
      try {
        if (grouped && child.pid) process.kill(-child.pid, 'SIGKILL');
        else child.kill('SIGKILL');
      } catch {
        // All of the group has ended.
      }
    }
    function done(outcome: () => void): void {
      clearTimeout(linger);
      signal.removeEventListener('abort', onAbort);
      endAll();
      child.stdout?.destroy();
      child.stderr?.destroy();
      outcome();
    }
    function onAbort(): void {
      done(() => reject(signal.reason));
    }
    function settle(): void {
      const text = (name: 'stdout' | 'stderr') => Buffer.concat(parts[name]).toString('utf8');
      done(() =>
        resolve({
          code: exit?.code ?? null,
          signal: exit?.signal ?? null,
          stdout: text('stdout'),
          stderr: text('stderr'),
          tooMuch,
        }),
      );
    }

    child.once('error', (error) => done(() => reject(error)));
    // Where no file can be opened any more there is no output either; the error says so in a moment.
    if (!child.stdout || !child.stderr) return;
    signal.addEventListener('abort', onAbort, { once: true });
    for (const name of ['stdout', 'stderr'] as const) {
      child[name].on('data', (data: Buffer) => {
        if (size < maxBytes) parts[name].push(data.subarray(0, maxBytes - size));
        size += data.byteLength;
        if (size <= maxBytes || tooMuch) return;
        tooMuch = true;
        endAll();
      });
    }
    child.once('exit', (code, by) => {
      exit = { code, signal: by };
      linger = setTimeout(settle, lingerMs);
    });
    child.once('close', settle);
  });
}
