import { mkdir, open, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { v4 as randomId } from 'uuid';
import { toDomainError } from '../../domain/errors.ts';
import type { ReportFiles } from '../../domain/ports.ts';

/** Writes below `folder`; a file appears under its name only once all of it is on disk. */
export function reportFiles(folder: string): ReportFiles {
  return {
    async write(name, bytes) {
      const path = join(folder, name);
      const temporary = `${path}.${randomId()}.part`;
      try {
        await mkdir(dirname(path), { recursive: true, mode: 0o700 });
        const file = await open(temporary, 'wx', 0o600);
        try {
          await file.writeFile(bytes);
          await file.sync();
        } finally {
          await file.close();
        }
        await rename(temporary, path);
        return path;
      } catch (error) {
        await rm(temporary, { force: true }).catch(() => {});
        throw toDomainError(error);
      }
    },
  };
}
