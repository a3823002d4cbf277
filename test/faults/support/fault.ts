import { appendFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { uniformInt } from 'pure-rand/distribution/uniformInt';
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus';
import { test } from 'vitest';
import { type FaultName, type FaultResult, faults } from './table.ts';

/** The whole load of the fault table instead of a short one. */
export const full = process.env['FAULTS'] === 'full';
/** The same seed strikes at the same places. */
const seed = Number(process.env['FAULTS_SEED'] ?? 1);
/** Where each fault leaves what it found, for the table in the documentation. */
const resultsFolder = join(import.meta.dirname, '../../../coverage/faults');

/** Figures that a fault leaves, with their units in the name. */
export type Figures = Record<string, number | string>;

export interface Chance {
  /** 0 to n - 1. */
  below(n: number): number;
  pick<T>(list: readonly T[]): T;
}

function chance(name: string): Chance {
  const mixed = [...name].reduce((sum, letter) => (sum * 31 + letter.charCodeAt(0)) | 0, seed);
  const generator = xoroshiro128plus(mixed);
  const below = (n: number) => uniformInt(generator, 0, n - 1);
  return {
    below,
    pick(list) {
      const picked = list[below(list.length)];
      if (picked === undefined) throw new Error('nothing to pick from');
      return picked;
    },
  };
}

/** A row of the fault table as a test: what it finds is kept, whether it holds or not. */
export function faultTest(
  name: FaultName,
  timeoutMs: { short: number; full: number },
  run: (tools: { chance: Chance; figures: Figures }) => Promise<void>,
): void {
  const { fault, mustHold } = faults[name];
  const scale = full ? 'full' : 'short';
  test(`${fault}: ${mustHold}`, { timeout: timeoutMs[scale] }, async () => {
    const figures: Figures = {};
    const began = performance.now();
    let error: string | null = 'it did not end in time';
    try {
      await run({ chance: chance(name), figures });
      error = null;
    } catch (thrown) {
      error = thrown instanceof Error ? thrown.message : String(thrown);
      throw thrown;
    } finally {
      const seconds = Math.round((performance.now() - began) / 100) / 10;
      const at = new Date().toISOString();
      const result: FaultResult = {
        fault,
        mustHold,
        held: error === null,
        figures,
        error,
        seconds,
        seed,
        scale,
        at,
      };
      mkdirSync(resultsFolder, { recursive: true });
      writeFileSync(join(resultsFolder, `${name}-${scale}.json`), JSON.stringify(result, null, 2));
    }
  });
}

export interface Entry {
  at: number;
  kind: string;
  id: string;
}

/** What happened, in an append-only file that outlives every process that writes to it. */
export class History {
  readonly file: string;
  constructor(file: string) {
    this.file = file;
  }

  note(kind: string, id: string): void {
    appendFileSync(this.file, `${JSON.stringify({ at: Date.now(), kind, id })}\n`);
  }

  all(kind: string): Entry[] {
    if (!existsSync(this.file)) return [];
    const lines = readFileSync(this.file, 'utf8').split('\n').filter(Boolean);
    return lines.map((line) => JSON.parse(line) as Entry).filter((entry) => entry.kind === kind);
  }
}

/** The value below which the given share of them lies. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}
