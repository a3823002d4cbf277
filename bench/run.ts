/**
 * Benchmarks, each a ratio against the bare engine measured in the same run: machines differ, ratios hardly do.
 * Rounds are interleaved, so that a slow moment hits both sides; figures are medians of five.
 *
 *   npm run bench            a table
 *   npm run bench -- --json  one JSON object
 *   npm run bench -- --only=scheduleLag   one part: checkPath, roundTrip, startUp, pdf, scheduleLag, rescue, memory,
 *                            history, dayOf10kDevices
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { stopEmbeddedRedis } from '../src/jobs/engine/embedded-redis.ts';
import { checkPath } from './check-path.ts';
import { dayOf10kDevices } from './day.ts';
import { history } from './history.ts';
import { memory } from './memory.ts';
import { pdf } from './pdf.ts';
import { rescue } from './rescue.ts';
import { roundTrip } from './round-trip.ts';
import { scheduleLag } from './schedule-lag.ts';
import { startUp } from './start-up.ts';

/** Key of the JSON object, what it means, and whether more or less of it is better. */
const meanings: Record<string, string> = {
  bareJobsPerS: 'bare BullMQ, no-op jobs a second',
  bareUpsertJobsPerS: 'the same with one plain SQLite upsert a job',
  checkPathDevicesPerS: 'our check path: 20 clients of 100 devices, five results each',
  checkPathVsBare: 'ours to bare; more is better, at least 0.6',
  versionVsNode: '--version to node -e 0, whole process; less is better',
  clientListVsNode: 'client list --json with 1,000 clients to node -e 0; less is better',
  bareRoundTripP50Ms: 'bare BullMQ, add to result',
  roundTripP50Ms: 'our submit to result of an empty job',
  roundTripMoreMs: 'ours less bare, ms; at most 5',
  roundTripVsBare: 'ours to bare; less is better',
  scheduleLagMs: '1,000 schedules due in one second: how late their jobs are asked for',
  rescueS: 'from kill -9 of a worker to the next start of its job',
  memoryAfter1kMb: 'heap and buffers of an engine after 1,000 jobs',
  memoryAfter100kMb: 'the same after 100,000',
  memoryGrowth: 'one to the other; at most 1.1',
  longRunJobsPerS: 'empty jobs a second over those 100,000, of one client',
  historySamplesM: '10,000 devices, five checks, every five minutes, 30 days: samples, in millions',
  historyMb: 'what the database holds of them, in MB; at most 2,000',
  historyBytesPerSample: 'the same for each sample',
  historyQueryMs: 'one client of 100 devices, 30 days, hour by hour; at most 50',
  historyQueryP95Ms: 'the 95th percentile of it',
  dayOf10kDevices:
    '10,000 devices every five minutes for a simulated day, a slot at a time as fast as it goes',
  barePdfMs: 'a bare page.pdf() of a report, warm',
  pdfMs: 'our PDF of the same HTML, warm',
  pdfVsBare: 'ours to bare; less is better',
};

const home = await mkdtemp(join(tmpdir(), 'msp-bench-'));
try {
  const results: Record<string, number | object> = {};
  const parts = [checkPath, roundTrip, startUp, pdf, scheduleLag, rescue, memory, history, dayOf10kDevices];
  const only = process.argv.find((word) => word.startsWith('--only='))?.slice(7);
  for (const part of parts.filter(({ name }) => !only || name === only)) {
    process.stderr.write(`${part.name} ...\n`);
    Object.assign(results, await part(home));
  }
  if (process.argv.includes('--json')) {
    console.log(
      JSON.stringify(
        { ...results, cores: cpus().length, node: process.version, at: new Date().toISOString() },
        null,
        2,
      ),
    );
  } else {
    for (const [key, value] of Object.entries(results)) {
      console.log(
        `${key.padEnd(22)} ${(typeof value === 'number' ? String(value) : JSON.stringify(value)).padStart(9)}  ${meanings[key] ?? ''}`,
      );
    }
  }
} finally {
  await stopEmbeddedRedis(join(home, 'redis'));
  await rm(home, { recursive: true, force: true });
}
