import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { thresholdsSchemaOf } from '../../domain/check/thresholds.ts';
import { DomainError, parseWith } from '../../domain/errors.ts';
import { maintenanceInputSchema } from '../../domain/maintenance.ts';
import { catalogue } from '../../workers/probes/index.ts';
import { readStdin } from './context.ts';

const simulationSchema = z.strictObject({
  thresholds: thresholdsSchemaOf(catalogue).prefault({}),
  attempts: z.int().min(1).max(20).optional(),
  maintenance: z.array(maintenanceInputSchema).default([]),
});
export type SimulationFile = z.infer<typeof simulationSchema>;

/** Reads what to simulate from YAML, JSON or standard input (`-`). Throws USAGE or VALIDATION. */
export async function readSimulation(file: string): Promise<SimulationFile> {
  let text: string;
  try {
    text = file === '-' ? await readStdin() : await readFile(file, 'utf8');
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new DomainError('USAGE', `The file ${file} can't be read: ${reason}.`);
  }
  const { parse } = await import('yaml');
  let value: unknown;
  try {
    value = parse(text);
  } catch (error) {
    const reason = error instanceof Error ? error.message.split('\n')[0] : String(error);
    throw new DomainError('USAGE', `The file ${file} is neither YAML nor JSON: ${reason}.`);
  }
  return parseWith(simulationSchema, value ?? {}, `file ${file}`);
}
