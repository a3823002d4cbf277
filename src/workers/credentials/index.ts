import type { CredentialStore } from '../../domain/credentials.ts';
import { DomainError } from '../../domain/errors.ts';

export interface Credentials {
  readonly stores: readonly CredentialStore[];
  /** The first store that has it wins: environment, keyring, file. A store that can't be used is passed over. */
  get(service: string, key: string): Promise<string | undefined>;
  /** Stores in the one named, or in the first that works. Answers with its name. */
  set(service: string, key: string, secret: string, store?: string): Promise<string>;
  /** Removes it from every store that has it; answers with their names. */
  remove(service: string, key: string): Promise<string[]>;
  list(): Promise<{ service: string; key: string; store: string }[]>;
}

function unusable(error: unknown): boolean {
  return error instanceof DomainError && (error.code === 'CREDENTIAL_STORE' || error.code === 'UNSUPPORTED');
}

export function createCredentials(stores: readonly CredentialStore[]): Credentials {
  /** What each usable store answers; one that is exposed or broken beyond use speaks up instead of being skipped. */
  async function each<T>(
    ask: (store: CredentialStore) => Promise<T>,
  ): Promise<{ store: CredentialStore; answer: T }[]> {
    const answers: { store: CredentialStore; answer: T }[] = [];
    for (const store of stores) {
      try {
        answers.push({ store, answer: await ask(store) });
      } catch (error) {
        if (!unusable(error) || store.name === 'file') throw error;
      }
    }
    return answers;
  }

  return {
    stores,
    async get(service, key) {
      for (const store of stores) {
        try {
          const secret = await store.get(service, key);
          if (secret !== undefined) return secret;
        } catch (error) {
          if (!unusable(error) || store.name === 'file') throw error;
        }
      }
      return undefined;
    },
    async set(service, key, secret, wanted) {
      const writable = stores.filter(
        (store) => store.name !== 'environment' && (!wanted || store.name === wanted),
      );
      if (writable.length === 0) {
        throw new DomainError('USAGE', `There is no store "${wanted}" to write to.`, {
          hint: 'Choose keyring or file.',
        });
      }
      for (const store of writable) {
        try {
          await store.set(service, key, secret);
          return store.name;
        } catch (error) {
          if (wanted || !unusable(error) || store === writable.at(-1)) throw error;
        }
      }
      throw new DomainError('CREDENTIAL_STORE', 'No credential store works here.');
    },
    async remove(service, key) {
      const answers = await each((store) => store.remove(service, key));
      return answers.filter(({ answer }) => answer).map(({ store }) => store.name);
    },
    async list() {
      const answers = await each((store) => store.list());
      return answers.flatMap(({ store, answer }) => answer.map((entry) => ({ ...entry, store: store.name })));
    },
  };
}
