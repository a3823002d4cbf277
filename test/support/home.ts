import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { stopEmbeddedRedis } from '../../src/jobs/engine/embedded-redis.ts';

/** A home of the test's own. When the test ends, its Redis is ended and the folder removed. */
export async function scratchHome(): Promise<string> {
  const home = await mkdtemp(join(tmpdir(), 'msp-t-'));
  onTestFinished(async () => {
    await stopEmbeddedRedis(join(home, 'redis'));
    await rm(home, { recursive: true, force: true });
  });
  return home;
}

/** Asks again and again until `probe` answers with something, and fails with `what` after `withinMs`. */
export async function until<T>(
  what: string,
  probe: () => T | undefined | false | Promise<T | undefined | false>,
  withinMs = 20_000,
): Promise<T> {
  const deadline = performance.now() + withinMs;
  for (;;) {
    const answer = await probe();
    if (answer !== undefined && answer !== false) return answer;
    if (performance.now() > deadline) throw new Error(`waited ${withinMs} ms in vain for: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}
