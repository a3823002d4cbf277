import type * as Keyring from 'keytar';
import type { CredentialStore } from '../../domain/credentials.ts';
import { DomainError } from '../../domain/errors.ts';

type Keytar = typeof Keyring;

/** Accounts in the keyring are `service/key` under one entry of this installation. */
export function keyringStore(installation: string): CredentialStore {
  const account = (service: string, key: string) => `${service}/${key}`;

  async function use<T>(work: (keytar: Keytar) => Promise<T>): Promise<T> {
    try {
      // A missing library or session bus fails either here or at the first call.
      const { default: keytar } = (await import('keytar')) as unknown as { default: Keytar };
      return await work(keytar);
    } catch (error) {
      throw new DomainError('CREDENTIAL_STORE', 'The system keyring can not be used here.', {
        details: { reason: error instanceof Error ? error.message : String(error) },
        hint: 'On a server without a desktop session, store the secret in the encrypted file: add --store file.',
        cause: error,
      });
    }
  }

  return {
    name: 'keyring',
    get: (service, key) =>
      use(async (keytar) => (await keytar.getPassword(installation, account(service, key))) ?? undefined),
    set: (service, key, secret) =>
      use((keytar) => keytar.setPassword(installation, account(service, key), secret)),
    remove: (service, key) => use((keytar) => keytar.deletePassword(installation, account(service, key))),
    list: () =>
      use(async (keytar) =>
        (await keytar.findCredentials(installation)).flatMap(({ account: name }) => {
          const [service, key] = name.split('/');
          return service && key ? [{ service, key }] : [];
        }),
      ),
  };
}
