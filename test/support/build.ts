import { execFileSync } from 'node:child_process';
import { join } from 'node:path';

/** End-to-end tests run the built program, so it must be that of these sources. */
export default function setup(): void {
  execFileSync(process.execPath, [join(import.meta.dirname, '../../scripts/build.ts')], { stdio: 'inherit' });
}
