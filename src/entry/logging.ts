import { createRequire } from 'node:module';
import type * as Pino from 'pino';
import type { Logger } from 'pino';
import type { Log } from '../domain/log.ts';
import { mask, maskText } from '../domain/mask.ts';
import { logLevels } from './config-levels.ts';

export interface LogSettings {
  level: (typeof logLevels)[number];
  /** A file to append to; stderr if there is none. */
  file?: string | undefined;
}

function openPino({ level, file }: LogSettings): Logger {
  // Loaded at the first line that is written; most short commands write none.
  const { destination, pino } = createRequire(import.meta.url)('pino') as typeof Pino;
  return pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: {
        level: (label) => ({ level: label }),
        log: (fields) => mask(fields) as Record<string, unknown>,
      },
      // The formatter above has already turned errors into plain objects.
      serializers: { err: (error: unknown) => error },
      hooks: {
        logMethod(input, method) {
          const masked = input.map((part) => (typeof part === 'string' ? maskText(part) : part));
          method.apply(this, masked as Parameters<typeof method>);
        },
      },
    },
    file
      ? destination({ dest: file, mkdir: true, sync: true, mode: 0o600 })
      : destination({ dest: 2, sync: true }),
  );
}

/** A structured log in JSON lines in which no secret survives, neither in messages nor in fields at any depth. */
export function createLog(settings: LogSettings): Log {
  const lowest = logLevels.indexOf(settings.level);
  let logger: Logger | undefined;
  const at = (level: 'debug' | 'info' | 'warn' | 'error') => (fields: object, message: string) => {
    if (logLevels.indexOf(level) < lowest) return;
    logger ??= openPino(settings);
    logger[level](fields, message);
  };
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
}
