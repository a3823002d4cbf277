import { createInterface } from 'node:readline/promises';
import { userInfo } from 'node:os';
import type { Command } from 'commander';
import { DomainError } from '../../domain/errors.ts';
import type { Job, Progress } from '../../domain/job.ts';
import type { Log } from '../../domain/log.ts';
import type { logLevels } from '../config-levels.ts';
import type { Started, Toolkit } from '../toolkit.ts';
import { createOutput, type GlobalOptions, type Output } from './output.ts';

/** What a command's action works with. */
export interface CommandContext {
  options: GlobalOptions;
  output: Output;
  environment: Record<string, string | undefined>;
  /** Aborted by Ctrl-C. */
  signal: AbortSignal;
  /** Opened at the first call and closed when the command ends. `level` is what is logged unless set. */
  toolkit(options?: { level?: (typeof logLevels)[number]; kind?: string }): Promise<Toolkit>;
  log(level: (typeof logLevels)[number]): Promise<Log>;
  /** Waits for a started job with its progress on screen. */
  follow<R>(started: Started<R>, title: string): Promise<R>;
  /** Asks before something that can't be undone. Without a terminal it needs --yes. */
  confirm(question: string, yes: boolean | undefined): Promise<void>;
  exitCode(code: number): void;
}

export interface Lifecycle {
  environment: Record<string, string | undefined>;
  signal: AbortSignal;
  setExitCode(code: number): void;
}

function actorName(): string {
  try {
    return `cli:${userInfo().username}`;
  } catch {
    return 'cli';
  }
}

/** Makes a commander action of `run`: opens what it asks for and closes it afterwards, whatever happens. */
export function action<O extends object>(
  lifecycle: Lifecycle,
  run: (context: CommandContext, args: unknown[], own: O) => Promise<void>,
) {
  return async (...input: unknown[]): Promise<void> => {
    const command = input.at(-1) as Command;
    const args = input.slice(0, -2);
    const options = command.optsWithGlobals<GlobalOptions>();
    const { environment, signal } = lifecycle;
    const output = createOutput(options, environment);
    let opened: Toolkit | undefined;

    const log = async (level: (typeof logLevels)[number]) => {
      const { createLog } = await import('../logging.ts');
      const { config } = await loadedConfig();
      const file = options.logFile ?? config.general.logFile;
      // With --json standard error holds the one JSON document of an error, and log lines only if asked for here.
      const usual = options.json && !file ? 'silent' : (config.general.logLevel ?? level);
      return createLog({ level: (options.logLevel as typeof level | undefined) ?? usual, file });
    };
    const loadedConfig = async () => {
      const [{ loadConfig }, { openHome }] = await Promise.all([
        import('../config.ts'),
        import('../home.ts'),
      ]);
      return loadConfig({
        home: openHome(environment),
        cwd: process.cwd(),
        environment,
        file: options.config,
      });
    };

    const context: CommandContext = {
      options,
      output,
      environment,
      signal,
      log,
      async toolkit({ level = 'silent', kind = 'command' } = {}) {
        if (!opened) {
          const { openToolkit } = await import('../toolkit.ts');
          opened = await openToolkit({
            actor: actorName(),
            environment,
            kind,
            ...(options.config ? { config: options.config } : {}),
            log: await log(level),
          });
        }
        return opened;
      },
      async follow(started, title) {
        const spinner = await progressLine(output, options, title);
        const interrupted = () => started.job;
        try {
          const result = await started.result({
            signal,
            onProgress: (progress) => spinner.update(progress),
          });
          spinner.end(true);
          return result;
        } catch (error) {
          spinner.end(false);
          if (signal.aborted) throw interruption(interrupted());
          throw error;
        }
      },
      async confirm(question, yes) {
        if (yes) return;
        if (!process.stdin.isTTY || options.input === false) {
          throw new DomainError('CONFIRMATION_REQUIRED', `${question} This can't be undone.`, {
            hint: 'Add --yes to go ahead without being asked.',
          });
        }
        const reader = createInterface({ input: process.stdin, output: process.stderr });
        reader.once('SIGINT', () => process.kill(process.pid, 'SIGINT'));
        const answer = await reader
          .question(`${question} This can't be undone. [y/N] `, { signal })
          .catch(() => '')
          .finally(() => reader.close());
        if (!/^y(es)?$/i.test(answer.trim())) throw new DomainError('INTERRUPTED', 'Nothing was changed.');
      },
      exitCode: (code) => lifecycle.setExitCode(code),
    };
    try {
      await run(context, args, command.opts<O>());
    } finally {
      await opened?.close(signal.aborted ? 5000 : 20_000);
    }
  };
}

export function interruption(job: Job): DomainError {
  return new DomainError('INTERRUPTED', `Interrupted; the job ${job.id} goes on as soon as a worker runs.`, {
    details: { jobId: job.id },
    hint: `Wait for it with: msp-toolkit job wait ${job.id}`,
  });
}

async function progressLine(
  output: Output,
  options: GlobalOptions,
  title: string,
): Promise<{ update(progress: Progress): void; end(ok: boolean): void }> {
  if (output.json || options.quiet) return { update() {}, end() {} };
  if (!process.stderr.isTTY) {
    let last = '';
    return {
      update({ percent, message }) {
        if (message === last) return;
        last = message;
        output.note(`${title}: ${percent} % ${message}`);
      },
      end: (ok) => output.note(`${title}: ${ok ? 'done' : 'failed'}`),
    };
  }
  const { default: ora } = await import('ora');
  const spinner = ora({ text: title, stream: process.stderr, discardStdin: false }).start();
  return {
    update({ percent, message }) {
      spinner.text = `${title}: ${percent} % ${message}`;
    },
    end(ok) {
      if (ok) spinner.succeed(title);
      else spinner.fail(title);
    },
  };
}

/** Reads all of standard input, for an argument given as `-`. */
export async function readStdin(): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of process.stdin) parts.push(part as Buffer);
  return Buffer.concat(parts).toString('utf8');
}
