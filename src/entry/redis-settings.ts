import type { RedisSettings } from '../jobs/engine/redis-link.ts';
import type { Config } from './config.ts';

/** Where Redis is, and how the queues of this installation are told apart in it. */
export function redisSettings(
  config: Config,
  home: string,
  environment: Record<string, string | undefined>,
  installationId: string,
): RedisSettings {
  return {
    url: config.redis.url,
    allowUnsafe: config.redis.allowUnsafe,
    home,
    searchPath: `${environment['PATH'] ?? ''}:/usr/local/bin:/usr/bin:/opt/homebrew/bin`,
    prefix: config.redis.prefix ?? `msp-${installationId}`,
    installationId: installationId || undefined,
  };
}
