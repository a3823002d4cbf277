import type { CredentialStore } from '../../domain/credentials.ts';
import { DomainError } from '../../domain/errors.ts';

/** `rmm` and `api-key` become RMM_API_KEY. */
export function environmentName(service: string, key: string): string {
  return `${service}_${key}`.toUpperCase().replace(/[^A-Z0-9]+/g, '_');
}

/** Secrets from the environment, which can only be read. */
export function environmentStore(environment: Record<string, string | undefined>): CredentialStore {
  const readOnly = () =>
    new DomainError('UNSUPPORTED', 'Secrets in the environment are set by whoever starts the program.', {});
  return {
    name: 'environment',
    get: async (service, key) => environment[environmentName(service, key)] || undefined,
    set: () => Promise.reject(readOnly()),
    remove: async () => false,
    list: async () => [],
  };
}
