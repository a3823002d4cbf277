import { zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import type { AppliedLimits, CheckValue, Status } from '../check/check.ts';

/** A raw result as it is stored, under the id of the state it belongs to; `at` is in ms since the epoch. */
export interface RawResult {
  stateId: number;
  status: Status;
  /** What the check itself said, before any threshold. */
  verdict: Status | null;
  message: string;
  values: CheckValue[];
  limits: AppliedLimits | null;
  at: number;
  ms: number;
}

type Packed = [
  stateId: number,
  status: Status,
  message: string,
  values: [string, number | null, string | null][],
  limits: AppliedLimits | null,
  sinceStart: number,
  ms: number,
  verdict: Status | null,
];

/** zstd's magic number; data without it is plain JSON. */
const magic = Buffer.from([0x28, 0xb5, 0x2f, 0xfd]);

/** The results of one run as a blob: JSON, compressed. Results of one run are much alike, so little remains of them. */
export function packRun(at: number, results: readonly RawResult[]): Buffer {
  const rows: Packed[] = results.map((r) => [
    r.stateId,
    r.status,
    r.message,
    r.values.map((v) => [v.name, v.value, v.unit]),
    r.limits,
    r.at - at,
    r.ms,
    r.verdict,
  ]);
  return zstdCompressSync(Buffer.from(JSON.stringify(rows)));
}

export function unpackRun(at: number, data: Buffer): RawResult[] {
  const json = data.subarray(0, 4).equals(magic) ? zstdDecompressSync(data) : data;
  return (JSON.parse(json.toString('utf8')) as Packed[]).map(
    ([stateId, status, message, values, limits, since, ms, verdict]) => ({
      stateId,
      status,
      message,
      values: values.map(([name, value, unit]) => ({ name, value, unit })),
      limits,
      at: at + since,
      ms,
      verdict,
    }),
  );
}
