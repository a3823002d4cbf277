import { execFileSync } from 'node:child_process';
import { onTestFinished } from 'vitest';

/** Small and read-only file systems can be made by root alone. */
export const mayMount = process.getuid?.() === 0;

/** Puts a file system of its own over `folder`; it goes with the test. `options` as of mount(8). */
export function mountOver(folder: string, options: string): { remount(options: string): void } {
  execFileSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', folder]);
  onTestFinished(() => void execFileSync('umount', ['-l', folder]));
  return { remount: (changed) => void execFileSync('mount', ['-o', `remount,${changed}`, folder]) };
}
