import type { CheckResult } from '../check/check.ts';
import type { RunRow, StateRow } from '../storage/check-statements.ts';
import type { Statements } from '../storage/statements.ts';
import { type RawResult, unpackRun } from './runs.ts';

type Thing = Pick<StateRow, 'client_id' | 'device_id' | 'check_name' | 'instance'>;

/** A result in the form in which every door shows it. */
export function toResult(
  thing: Thing,
  result: Pick<RawResult, 'status' | 'message' | 'values' | 'limits' | 'ms'> & { at: string },
): CheckResult {
  const [main] = result.values;
  return {
    clientId: thing.client_id,
    deviceId: thing.device_id,
    check: thing.check_name,
    instance: thing.instance || null,
    status: result.status,
    message: result.message,
    value: main?.value ?? null,
    unit: main?.unit ?? null,
    thresholds: result.limits,
    values: result.values,
    at: result.at,
    ms: result.ms,
  };
}

/** The results of stored runs over a client. Those of devices that were removed since are left out. */
export function storedResults(tx: Statements, clientId: string, runs: readonly RunRow[]): CheckResult[] {
  const things = new Map(tx.statesOf(clientId).map((row) => [row.id, row]));
  return runs.flatMap((run) =>
    unpackRun(run.at, run.data).flatMap((raw) => {
      const thing = things.get(raw.stateId);
      return thing ? [toResult(thing, { ...raw, at: new Date(raw.at).toISOString() })] : [];
    }),
  );
}
