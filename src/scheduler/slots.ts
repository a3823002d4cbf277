import { parseWith, toDomainError } from '../domain/errors.ts';
import { dueAt, dueSlots, judgeSlot, type Verdict } from '../domain/schedule.ts';
import type { ScheduleRow } from '../domain/storage/schedule-statements.ts';
import type { Statements } from '../domain/storage/statements.ts';
import type { Engine } from '../jobs/engine/engine.ts';

/** How many slots one transaction accounts for; a schedule that slept for months takes several. */
const slotsAtOnce = 200;

/** How many runs of a schedule may wait for each other before further ones are skipped. */
const longestQueue = 100;

/** The jobs of a schedule that may not overlap share it; see SubmitOptions.serialKey. */
export function serialKeyOf(scheduleId: string): string {
  return `schedule:${scheduleId}`;
}

export interface Accounted {
  /** Jobs that were asked for. */
  jobs: string[];
  /** How late each of them was asked for, in ms. */
  lagsMs: number[];
  /** Whether more slots have come due than one transaction takes. */
  more: boolean;
}

/**
 * Accounts for every slot of a schedule that has come due since it was last looked at: each is run, skipped or missed,
 * with the reason, and its trace and its job are committed together. Doing it again, from any process, changes nothing.
 */
export function accountFor(
  tx: Statements,
  engine: Engine,
  scheduleId: string,
  now: Date,
  limit = slotsAtOnce,
): Accounted {
  const accounted: Accounted = { jobs: [], lagsMs: [], more: false };
  const row = tx.schedule(scheduleId);
  if (!row?.next_at || row.next_at > now.toISOString()) return accounted;
  const timing = {
    id: row.id,
    cron: row.cron,
    timezone: row.timezone,
    jitterSeconds: row.jitter_seconds,
  };
  const { slots, next, complete } = dueSlots(timing, new Date(row.cursor), now, limit);
  const newest = complete ? slots.at(-1) : undefined;
  const rule = { misfire: row.misfire, misfireWindowSeconds: row.misfire_window_seconds };
  for (const slot of slots) {
    const name = slot.toISOString();
    // The clock was set back, and the cursor with it: what has been decided stays.
    if (tx.isSlotKnown(row.id, name)) continue;
    const due = dueAt(timing, slot);
    const verdict = row.paused
      ? { run: false, late: false, reason: 'it was paused' }
      : judgeSlot(rule, slot, due, newest, now);
    const { outcome, reason, jobId } = decide(tx, engine, row, name, verdict);
    tx.putSlot(row.id, { slot: name, outcome, reason, jobId, at: now.toISOString() });
    if (!jobId) continue;
    accounted.jobs.push(jobId);
    accounted.lagsMs.push(now.getTime() - due.getTime());
  }
  const cursor = slots.at(-1)?.toISOString() ?? row.cursor;
  const nextAt = next ? dueAt(timing, next).toISOString() : null;
  tx.moveCursor(row.id, cursor, nextAt, accounted.jobs.length > 0 ? now.toISOString() : null);
  return { ...accounted, more: !complete };
}

type Decision = { outcome: 'run' | 'skipped' | 'missed'; reason: string | null; jobId: string | null };

function decide(tx: Statements, engine: Engine, row: ScheduleRow, slot: string, verdict: Verdict): Decision {
  const skipped = (reason: string): Decision => ({ outcome: 'skipped', reason, jobId: null });
  if (!verdict.run) {
    return { outcome: verdict.late ? 'missed' : 'skipped', reason: verdict.reason, jobId: null };
  }
  const definition = engine.registry.job(row.job_type);
  if (!definition) return skipped(`there is no job type "${row.job_type}" any more`);
  const payload = JSON.parse(row.payload) as never;
  try {
    parseWith(definition.payload, payload, `payload of ${row.job_type}`, 'PAYLOAD_INVALID');
  } catch (error) {
    return skipped(toDomainError(error).message);
  }
  const serialKey = serialKeyOf(row.id);
  // Runs that are made up for one by one wait for each other rather than make each other skipped.
  const overlap = row.overlap === 'skip' && verdict.late && row.misfire === 'all' ? 'queue' : row.overlap;
  const open = overlap === 'allow' ? [] : tx.openJobs(serialKey, longestQueue);
  if (overlap === 'skip' && open[0] !== undefined) {
    return skipped(`the run before it, job ${open[0]}, had not ended`);
  }
  if (overlap === 'queue' && open.length >= longestQueue) {
    return skipped(`${longestQueue} runs were waiting already`);
  }
  const { id } = engine.insert(tx, definition, payload, {
    requestedBy: `schedule:${row.name}`,
    idempotencyKey: `schedule:${row.id}:${slot}`,
    ...(row.overlap === 'allow' ? {} : { serialKey }),
  });
  return { outcome: 'run', reason: verdict.reason, jobId: id };
}
