import { setTimeout as delay } from 'node:timers/promises';
import Database from 'better-sqlite3';
import { DomainError } from '../errors.ts';

/**
 * Runs `work` while no other process runs anything under the same lock file. SQLite holds the lock through the
 * kernel, so a process that is killed gives it up at once and no stale lock can remain.
 *
 * Throws BUSY when another process still holds it after `withinMs`.
 *
 * @param path the lock file; it is made if need be and stays behind, empty
 */
export async function withFileLock<T>(path: string, work: () => Promise<T>, withinMs = 30_000): Promise<T> {
  const lock = new Database(path, { timeout: 0 });
  const deadline = performance.now() + withinMs;
  try {
    for (;;) {
      try {
        lock.exec('begin exclusive');
        break;
      } catch (error) {
        if (!(error instanceof Database.SqliteError) || !error.code.startsWith('SQLITE_BUSY')) throw error;
        if (performance.now() > deadline) {
          throw new DomainError('BUSY', `Another process has held ${path} for ${withinMs / 1000} s.`, {
            details: { path },
            hint: `See which one with: fuser ${path} (it may be suspended; resume or end it).`,
            cause: error,
          });
        }
        await delay(10 + Math.random() * 20);
      }
    }
    return await work();
  } finally {
    lock.close();
  }
}
