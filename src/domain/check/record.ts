import type { Tell } from '../alert/settle.ts';
import { endSilence } from '../alert/silence.ts';
import { rewind } from '../history/rollup.ts';
import { packRun, type RawResult, unpackRun } from '../history/runs.ts';
import type { ProbeTarget } from '../ports.ts';
import type { Statements } from '../storage/statements.ts';
import { openBook } from './book.ts';
import type { Measurement, Status } from './check.ts';
import type { Catalogue } from './check-type.ts';
import type { StatePolicy } from './state.ts';
import { type Effective, withLevel } from './thresholds.ts';

/** How late a result may come and still change what was rolled up, in ms. Raw results are kept for longer. */
const rewindableMs = 86_400_000;

/** What was measured on a device. */
export interface DeviceAnswer {
  device: ProbeTarget;
  measurements: Measurement[];
  /** Whether all that is to be checked on the device was; then what is not among it is checked no longer. */
  complete: boolean;
}

export interface Recording {
  jobId: string;
  /** Tells the parts of one job apart. */
  part: number;
  clientId: string;
  answers: readonly DeviceAnswer[];
  /** Every device of the client, for what depends on what. */
  devices: readonly ProbeTarget[];
  catalogue: Catalogue;
  /** Without the level of the device. */
  limits: Map<string, Effective>;
  policy: StatePolicy;
  /** Checks that tell whether a device is up. */
  reachability: readonly string[];
  /** How long a result counts, in ms. */
  holdMs: number;
  /** Whether a result may only make what is known hold for longer: that of a run which no schedule asked for. */
  extends?: boolean;
  now: Date;
  tell: Tell;
}

/**
 * Judges what was measured at a client and makes it count: states, their spans, alerts and the raw history, all in the
 * caller's transaction. Answers with the status of each result, also where the same run was recorded before, which then
 * changes nothing. Results of devices that were removed meanwhile are dropped.
 */
export function recordRun(tx: Statements, recording: Recording): Status[] {
  const { clientId, jobId, part, now } = recording;
  const startMs = startOf(recording);
  if (tx.isRecorded(jobId, part, startMs))
    return tx.runOfJob(jobId, part).flatMap((run) => unpackRun(run.at, run.data).map((r) => r.status));
  const book = openBook(tx, recording);
  const present = tx.setDevicesSeen(recording.answers.map(seenOf));
  const raw: RawResult[] = [];
  for (const answer of book.inOrder(recording.answers)) {
    const { device } = answer;
    if (!present.has(device.id)) continue;
    const own = { from: `device ${device.name}`, settings: device.metadata.thresholds };
    const limits = withLevel(recording.limits, own);
    for (const m of book.expand(answer)) raw.push(book.apply(m, answer, limits));
    for (const m of book.missing(answer)) raw.push(book.apply(m, answer, limits));
  }
  endSilence(tx, clientId, present, { now: now.toISOString(), tell: recording.tell });
  tx.putRun(jobId, part, clientId, startMs, packRun(startMs, raw));
  // What is older may have lost some of its raw results, and would lose by being rolled up from the rest.
  if (startMs > now.getTime() - rewindableMs) rewind(tx, clientId, startMs);
  return raw.map((r) => r.status);
}

/** When a device last answered, if it did. */
function seenOf({ device, measurements }: DeviceAnswer): [deviceId: string, at: string | null] {
  const answered = (m: Measurement) =>
    m.status === 'healthy' || (m.status !== 'unknown' && typeof m.values[0]?.value === 'number');
  return [device.id, measurements.findLast(answered)?.at ?? null];
}

/** When the first of its measurements was made, in ms since the epoch. */
function startOf({ answers, now }: Recording): number {
  let first = now.toISOString();
  for (const { measurements } of answers) for (const { at } of measurements) if (at < first) first = at;
  return Date.parse(first);
}
