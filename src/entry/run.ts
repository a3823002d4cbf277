import { setMaxListeners } from 'node:events';
import { CommanderError } from 'commander';
import { DomainError, type ErrorKind, toDomainError } from '../domain/errors.ts';
import { mask, maskText } from '../domain/mask.ts';
import { createProgram } from './cli/program.ts';

/** The one place where kinds of errors become exit codes. */
export const exitCodes: Record<ErrorKind, number> = { failed: 1, usage: 2, auth: 4, interrupted: 130 };

function report(error: unknown, json: boolean): number {
  const known =
    error instanceof CommanderError
      ? new DomainError('USAGE', error.message.replace(/^error: /, ''), { hint: 'See: msp-toolkit --help' })
      : toDomainError(error);
  if (json) {
    process.stderr.write(`${JSON.stringify({ error: mask(known.toJSON()) })}\n`);
  } else {
    process.stderr.write(
      `Error: ${maskText(known.message)}\n${known.hint ? `${maskText(known.hint)}\n` : ''}`,
    );
    if (known.code === 'INTERNAL' && known.cause instanceof Error) {
      process.stderr.write(`${maskText(known.cause.stack ?? '')}\n`);
    }
  }
  return exitCodes[known.kind];
}

/** Runs one command line and answers with its exit code. */
export async function run(argv: readonly string[]): Promise<number> {
  const json = argv.includes('--json');
  const stop = new AbortController();
  // Everything that waits listens to it, and there may be one for each client.
  setMaxListeners(0, stop.signal);
  let exitCode = 0;
  // A reader that has seen enough (`| head`) is no error.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(exitCode);
    process.exit(report(error, json));
  });
  const interrupt = (signal: NodeJS.Signals) => {
    if (stop.signal.aborted) process.exit(signal === 'SIGINT' ? 130 : 143);
    stop.abort(new DomainError('INTERRUPTED', 'Interrupted.'));
  };
  process.on('SIGINT', interrupt);
  process.on('SIGTERM', interrupt);
  try {
    const program = await createProgram(argv, {
      environment: process.env,
      signal: stop.signal,
      setExitCode: (code) => {
        exitCode = code;
      },
    });
    await program.parseAsync([...argv], { from: 'user' });
    return exitCode;
  } catch (error) {
    if (stop.signal.aborted && !(error instanceof DomainError)) return report(stop.signal.reason, json);
    // Help and version end through an exception too.
    if (error instanceof CommanderError && error.exitCode === 0) return 0;
    if (error instanceof CommanderError && error.code === 'commander.help') return exitCodes.usage;
    return report(error, json);
  } finally {
    process.off('SIGINT', interrupt);
    process.off('SIGTERM', interrupt);
  }
}
