import { createCipheriv, createDecipheriv, randomBytes, randomUUID } from 'node:crypto';
import { link, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import type { CredentialStore } from '../../domain/credentials.ts';
import { DomainError } from '../../domain/errors.ts';
import { withFileLock } from '../../domain/storage/lock.ts';

const contentSchema = z.record(z.string(), z.string());

/** Refuses a file that anybody but its owner could read. */
async function assertPrivate(path: string): Promise<boolean> {
  const info = await stat(path).catch(() => undefined);
  if (!info) return false;
  if ((info.mode & 0o077) !== 0) {
    throw new DomainError('CREDENTIAL_FILE_EXPOSED', `Others can read ${path}; it is not used.`, {
      details: { path, mode: (info.mode & 0o777).toString(8) },
      hint: `Renew the secrets in it, then: chmod 600 ${path}`,
    });
  }
  return true;
}

/**
 * Secrets in `secrets.enc`, sealed with AES-256-GCM under a random key in `secrets.key`; both belong to the owner
 * alone (0600). For servers without a keyring: this keeps secrets out of backups of the one file without the other
 * and from a passing glance, not from root or from whoever runs as this user.
 */
export function fileStore(folder: string): CredentialStore {
  const keyPath = join(folder, 'secrets.key');
  const path = join(folder, 'secrets.enc');

  async function key(create: boolean): Promise<Buffer | undefined> {
    if (!(await assertPrivate(keyPath))) {
      if (!create) return undefined;
      // Made complete under another name first, and linked only where there is none yet.
      const temporary = `${keyPath}.${randomUUID()}`;
      await writeFile(temporary, randomBytes(32), { mode: 0o600, flag: 'wx' });
      await link(temporary, keyPath).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== 'EEXIST') throw error;
      });
      await rm(temporary);
    }
    return readFile(keyPath);
  }

  async function read(): Promise<Record<string, string>> {
    if (!(await assertPrivate(path))) return {};
    const secret = await key(false);
    const sealed = await readFile(path);
    try {
      if (!secret) throw new Error(`${keyPath} is missing`);
      const decipher = createDecipheriv('aes-256-gcm', secret, sealed.subarray(0, 12));
      decipher.setAuthTag(sealed.subarray(12, 28));
      const text = Buffer.concat([decipher.update(sealed.subarray(28)), decipher.final()]).toString('utf8');
      return contentSchema.parse(JSON.parse(text));
    } catch (error) {
      throw new DomainError('CREDENTIAL_STORE', `${path} can not be decrypted.`, {
        details: { reason: error instanceof Error ? error.message : String(error) },
        hint: `Restore ${keyPath} from a backup, or remove ${path} and set the secrets anew.`,
        cause: error,
      });
    }
  }

  async function change(edit: (content: Record<string, string>) => boolean): Promise<boolean> {
    return withFileLock(join(folder, 'secrets.lock'), async () => {
      const content = await read();
      if (!edit(content)) return false;
      const secret = await key(true);
      if (!secret) throw new DomainError('CREDENTIAL_STORE', `${keyPath} could not be made.`);
      const nonce = randomBytes(12);
      const cipher = createCipheriv('aes-256-gcm', secret, nonce);
      const body = Buffer.concat([cipher.update(JSON.stringify(content), 'utf8'), cipher.final()]);
      const temporary = `${path}.${randomUUID()}`;
      await writeFile(temporary, Buffer.concat([nonce, cipher.getAuthTag(), body]), {
        mode: 0o600,
        flag: 'wx',
      });
      await rename(temporary, path);
      return true;
    });
  }

  const name = (service: string, entry: string) => `${service}/${entry}`;
  return {
    name: 'file',
    get: async (service, entry) => (await read())[name(service, entry)],
    async set(service, entry, secret) {
      await change((content) => {
        content[name(service, entry)] = secret;
        return true;
      });
    },
    remove: (service, entry) =>
      change((content) => {
        const had = name(service, entry) in content;
        delete content[name(service, entry)];
        return had;
      }),
    async list() {
      return Object.keys(await read()).flatMap((full) => {
        const [service, entry] = full.split('/');
        return service && entry ? [{ service, key: entry }] : [];
      });
    },
  };
}
