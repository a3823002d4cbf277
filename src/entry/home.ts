import { accessSync, constants, existsSync, mkdirSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import envPaths from 'env-paths';
import { DomainError } from '../domain/errors.ts';

/** The folder that holds all state: MSP_HOME, or the platform's data folder. Made, for its owner alone, if need be. */
export function openHome(environment: Record<string, string | undefined>): string {
  const home = resolve(environment['MSP_HOME'] || envPaths('msp-toolkit', { suffix: '' }).data);
  try {
    // Below /proc a recursive mkdir never comes back, so it is used only where the parent is missing too.
    if (!existsSync(home)) mkdirSync(home, { recursive: !existsSync(dirname(home)), mode: 0o700 });
    if (!statSync(home).isDirectory()) throw new Error('it is not a folder');
    accessSync(home, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new DomainError('HOME_UNUSABLE', `The home folder ${home} can't be used: ${reason}.`, {
      details: { home },
      hint: 'Make it readable and writable for you, or choose another with MSP_HOME.',
      cause: error,
    });
  }
  return home;
}
