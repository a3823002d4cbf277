import { destination, pino } from 'pino';
import type { Log } from '../domain/log.ts';
import { mask, maskText } from '../domain/mask.ts';
import type { logLevels } from './config.ts';

export interface LogSettings {
  level: (typeof logLevels)[number];
  /** A file to append to; stderr if there is none. */
  file?: string | undefined;
}

/** A structured log in JSON lines in which no secret survives, neither in messages nor in fields at any depth. */
export function createLog(settings: LogSettings): Log {
  return pino(
    {
      level: settings.level,
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
    settings.file
      ? destination({ dest: settings.file, mkdir: true, sync: true, mode: 0o600 })
      : destination({ dest: 2, sync: true }),
  );
}
