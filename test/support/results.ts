import type { CheckResult, Measurement } from '../../src/domain/check/check.ts';
import { type DeviceAnswer, recordRun, type Recording } from '../../src/domain/check/record.ts';
import { effectiveThresholds, type ThresholdSettings } from '../../src/domain/check/thresholds.ts';
import { probeTargets } from '../../src/domain/device.ts';
import { storedResults } from '../../src/domain/history/results.ts';
import { unpackRun } from '../../src/domain/history/runs.ts';
import type { Storage } from '../../src/domain/storage/storage.ts';
import { catalogue } from '../../src/workers/probes/index.ts';

/** Which job measured what on which device: one line a stored result. */
export function resultKeys(storage: Storage): string[] {
  return storage.read.runRows().flatMap((run) =>
    unpackRun(run.at, run.data).map((raw) => {
      const thing = storage.read.state(raw.stateId);
      return `${run.job_id} ${thing?.device_id} ${thing?.check_name} ${thing?.instance}`;
    }),
  );
}

/** A measurement of which only what matters is said. */
export function measured(at: string, found: Partial<Measurement> & { value?: number | null }): Measurement {
  const { value, ...rest } = found;
  return {
    check: 'cpu',
    instance: '',
    status: null,
    message: `found ${value ?? rest.status ?? 'nothing'}`,
    values: value === undefined ? [] : [{ name: 'usage', value, unit: '%' }],
    at,
    ms: 1,
    ...rest,
  };
}

let runs = 0;

/** Records what was measured on one device, or on several by id, as a health check would. */
export async function recordMeasured(
  storage: Storage,
  clientId: string,
  byDevice: Record<string, Measurement[]>,
  options: Partial<Omit<Recording, 'limits'>> & { thresholds?: ThresholdSettings; complete?: boolean } = {},
): Promise<CheckResult[]> {
  const jobId = options.jobId ?? `run-${(runs += 1)}`;
  const devices = probeTargets(storage, clientId);
  const { thresholds, complete = false, ...rest } = options;
  const first = Object.values(byDevice)[0]?.[0]?.at ?? new Date().toISOString();
  return storage.write((tx) => {
    recordRun(tx, {
      part: 0,
      clientId,
      devices,
      answers: devices
        .filter((device) => device.id in byDevice)
        .map((device): DeviceAnswer => ({ device, measurements: byDevice[device.id] ?? [], complete })),
      catalogue,
      limits: effectiveThresholds(catalogue, [{ from: 'test', settings: thresholds }]),
      policy: { attempts: 3, flapping: { startsAbove: 30, endsAtOrBelow: 25 } },
      reachability: ['ping'],
      holdMs: 900_000,
      now: new Date(first),
      tell: () => {},
      ...rest,
      jobId,
    });
    return storedResults(tx, clientId, tx.runsOfJob(jobId));
  });
}
