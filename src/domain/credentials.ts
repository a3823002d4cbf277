/**
 * A place that keeps secrets. A secret is named by a service and a key, such as `rmm` and `api-key`, and never
 * appears in configuration, payloads or logs.
 */
export interface CredentialStore {
  readonly name: 'environment' | 'keyring' | 'file';
  get(service: string, key: string): Promise<string | undefined>;
  /** Throws UNSUPPORTED where the store can only be read. */
  set(service: string, key: string, secret: string): Promise<void>;
  remove(service: string, key: string): Promise<boolean>;
  /** Names alone, never the secrets. */
  list(): Promise<{ service: string; key: string }[]>;
}
