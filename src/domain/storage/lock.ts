import { setTimeout as delay } from 'node:timers/promises';
import Database from 'better-sqlite3';

/**
 * Runs `work` while no other process runs anything under the same lock file. SQLite holds the lock through the
 * kernel, so a process that is killed gives it up at once and no stale lock can remain.
 *
 * @param path the lock file; it is made if need be and stays behind, empty
 */
export async function withFileLock<T>(
  path: string,
  work: () => Promise<T>,
  signal?: AbortSignal,
): Promise<T> {
  const lock = new Database(path, { timeout: 0 });
  try {
    for (;;) {
      try {
        lock.exec('begin exclusive');
        break;
      } catch (error) {
        if (!(error instanceof Database.SqliteError) || !error.code.startsWith('SQLITE_BUSY')) throw error;
        await delay(10 + Math.random() * 20, undefined, { signal });
      }
    }
    return await work();
  } finally {
    lock.close();
  }
}
