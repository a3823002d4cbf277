import { createHash } from 'node:crypto';
import { defineEntity, p } from '@mikro-orm/sqlite';
import { Cron } from 'croner';
import { z } from 'zod';
import { timezoneSchema } from './client.ts';
import { DomainError } from './errors.ts';
import { jobStates } from './job.ts';

export const misfires = ['skip', 'once', 'all'] as const;
export type Misfire = (typeof misfires)[number];

export const overlaps = ['skip', 'queue', 'allow'] as const;
export type Overlap = (typeof overlaps)[number];

export const scheduleSources = ['command', 'configuration', 'product'] as const;
export type ScheduleSource = (typeof scheduleSources)[number];

export const ScheduleEntity = defineEntity({
  name: 'Schedule',
  tableName: 'schedules',
  properties: {
    id: p.string().primary(),
    name: p.string().unique(),
    cron: p.string(),
    timezone: p.string(),
    jobType: p.string(),
    payload: p.json<Record<string, unknown>>(),
    misfire: p.string().$type<Misfire>(),
    misfireWindowSeconds: p.integer(),
    overlap: p.string().$type<Overlap>(),
    jitterSeconds: p.integer(),
    paused: p.integer(),
    source: p.string().$type<(typeof scheduleSources)[number]>(),
    /** The newest slot that is accounted for; the next one is looked for behind it. */
    cursor: p.string(),
    /** When the next slot is due; null where none ever comes. */
    nextAt: p.string().nullable(),
    lastRunAt: p.string().nullable(),
    createdAt: p.string(),
    updatedAt: p.string(),
  },
  indexes: [{ properties: ['nextAt'] }],
});

export const slotOutcomes = ['run', 'skipped', 'missed'] as const;
export type SlotOutcome = (typeof slotOutcomes)[number];

/**
 * What became of a slot: it ran (as which job), was skipped, or was missed, and why. Neighbours that ended alike without
 * a job share one row, from `slot` to `until`.
 */
export const ScheduleSlotEntity = defineEntity({
  name: 'ScheduleSlot',
  tableName: 'schedule_slots',
  properties: {
    id: p.integer().primary().autoincrement(),
    schedule: () => p.manyToOne(ScheduleEntity).mapToPk().deleteRule('cascade').index(false),
    slot: p.string(),
    until: p.string(),
    count: p.integer(),
    outcome: p.string().$type<SlotOutcome>(),
    reason: p.string().nullable(),
    jobId: p.string().nullable(),
    at: p.string(),
  },
  uniques: [{ properties: ['schedule', 'slot'] }],
  indexes: [{ properties: ['until'] }],
});

const fields = {
  name: z.string().regex(/^[a-z0-9-]{1,100}$/, 'must be 1 to 100 characters of a-z, 0-9 and -'),
  cron: z.string().describe('As croner reads it: five fields, or six with seconds; L, # and ranges too.'),
  timezone: timezoneSchema,
  jobType: z.string().describe('Such as health.check or report.generate.'),
  payload: z.record(z.string(), z.unknown()),
  misfire: z
    .enum(misfires)
    .describe('What becomes of slots that nobody was there for: none, the newest or all of them is run.'),
  misfireWindowSeconds: z
    .int()
    .min(0)
    .max(366 * 86_400)
    .describe('How late a missed slot may still be run.'),
  overlap: z
    .enum(overlaps)
    .describe('What becomes of a slot while the run before it has not ended: it is skipped, waits, or runs.'),
  jitterSeconds: z
    .int()
    .min(0)
    .max(3600)
    .describe('Each slot starts up to so much later, always the same for one slot.'),
  paused: z.boolean(),
};

export const scheduleInputSchema = z.strictObject({
  name: fields.name,
  cron: fields.cron,
  timezone: fields.timezone.default('UTC'),
  jobType: fields.jobType,
  payload: fields.payload.default({}),
  misfire: fields.misfire.default('once'),
  misfireWindowSeconds: fields.misfireWindowSeconds.default(86_400),
  overlap: fields.overlap.default('skip'),
  jitterSeconds: fields.jitterSeconds.default(0),
  paused: fields.paused.default(false),
});
export type ScheduleInput = z.input<typeof scheduleInputSchema>;
export type ScheduleWish = z.infer<typeof scheduleInputSchema>;

const { name: _name, paused: _paused, ...changeable } = fields;
export const scheduleChangesSchema = z.strictObject(changeable).partial();
export type ScheduleChanges = z.input<typeof scheduleChangesSchema>;

export const scheduleSchema = z.object({
  id: z.string(),
  ...fields,
  timezone: z.string(),
  source: z.enum(scheduleSources),
  lastRunAt: z.string().nullable(),
  nextRunAt: z.string().nullable().describe('null while it is paused, or when it never comes again'),
  createdAt: z.string(),
  updatedAt: z.string(),
});
export type Schedule = z.infer<typeof scheduleSchema>;

export const slotSchema = z.object({
  slot: z.string().describe('the time that the cron names'),
  until: z.string().describe('the last of several slots that ended alike'),
  count: z.number(),
  outcome: z.enum(slotOutcomes),
  reason: z.string().nullable(),
  jobId: z.string().nullable(),
  jobState: z.enum(jobStates).nullable(),
  at: z.string().describe('when this was decided'),
});
export type Slot = z.infer<typeof slotSchema>;

export function scheduleNotFound(name: string): DomainError {
  return new DomainError('SCHEDULE_NOT_FOUND', `There is no schedule "${name}".`, {
    details: { schedule: name },
    hint: 'See the names with: msp-toolkit schedule list',
  });
}

type Timing = Pick<Schedule, 'id' | 'cron' | 'timezone' | 'jitterSeconds'>;

const crons = new Map<string, Cron>();

/** The parsed cron; the same words are read once. Throws what croner throws. */
function cronOf({ cron, timezone }: Pick<Schedule, 'cron' | 'timezone'>): Cron {
  const key = `${timezone} ${cron}`;
  let parsed = crons.get(key);
  if (!parsed) {
    parsed = new Cron(cron, { timezone, paused: true });
    if (crons.size > 5000) crons.clear();
    crons.set(key, parsed);
  }
  return parsed;
}

/** The first time after `after` that the cron names, or null where there is none. */
export function nextSlot(schedule: Pick<Schedule, 'cron' | 'timezone'>, after: Date): Date | null {
  return cronOf(schedule).nextRun(after);
}

/** The shortest time between two of the next slots, in ms; null where none or one comes. */
export function shortestGapMs(schedule: Pick<Schedule, 'cron' | 'timezone'>, now: Date): number | null {
  let shortest = Number.POSITIVE_INFINITY;
  let slot = nextSlot(schedule, now);
  for (let n = 0; slot && n < 3; n += 1) {
    const next = nextSlot(schedule, slot);
    if (next) shortest = Math.min(shortest, next.getTime() - slot.getTime());
    slot = next;
  }
  return Number.isFinite(shortest) ? shortest : null;
}

/** What is wrong with a cron; undefined if it comes again after `now`. */
export function cronProblem(schedule: Pick<Schedule, 'cron' | 'timezone'>, now: Date): string | undefined {
  try {
    if (nextSlot(schedule, now)) return undefined;
    return `the cron "${schedule.cron}" never comes`;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return `the cron "${schedule.cron}" can't be read: ${reason}`;
  }
}

/** What is wrong with a schedule's jitter: slots that could overtake each other could not be accounted for in order. */
export function jitterProblem(
  schedule: Pick<Schedule, 'cron' | 'timezone' | 'jitterSeconds'>,
  now: Date,
): string | undefined {
  let last = schedule.jitterSeconds > 0 ? nextSlot(schedule, now) : null;
  for (let n = 0; last && n < 100; n += 1) {
    const next = nextSlot(schedule, last);
    if (next && next.getTime() - last.getTime() <= schedule.jitterSeconds * 1000) {
      return `a jitter of ${schedule.jitterSeconds} s is longer than the time between two of its slots`;
    }
    last = next;
  }
  return undefined;
}

/** When a slot is to start: its own time and its share of the jitter, which follows from schedule and slot alone. */
export function dueAt({ id, jitterSeconds }: Pick<Timing, 'id' | 'jitterSeconds'>, slot: Date): Date {
  if (jitterSeconds === 0) return slot;
  const hash = createHash('sha256').update(`${id} ${slot.getTime()}`).digest().readUInt32BE(0);
  return new Date(slot.getTime() + Math.floor((hash / 2 ** 32) * jitterSeconds * 1000));
}

/** Slots that have come due since `cursor`, oldest first, at most `limit`; `next` is the first that has not. */
export function dueSlots(
  schedule: Timing,
  cursor: Date,
  now: Date,
  limit: number,
): { slots: Date[]; next: Date | null; complete: boolean } {
  const slots: Date[] = [];
  let next = nextSlot(schedule, cursor);
  while (next && dueAt(schedule, next) <= now && slots.length < limit) {
    slots.push(next);
    next = nextSlot(schedule, next);
  }
  return { slots, next, complete: !next || dueAt(schedule, next) > now };
}

/** How late a slot may be taken up and still count as on time, in ms: long enough for a restart. */
export const onTimeMs = 60_000;

export interface Verdict {
  run: boolean;
  /** Whether it is made up for: its time went by while nobody was there. */
  late: boolean;
  reason: string | null;
}

/**
 * Whether a slot that has come due is to be run, by the schedule's misfire rule.
 *
 * @param newest the newest slot that has come due
 */
export function judgeSlot(
  schedule: Pick<Schedule, 'misfire' | 'misfireWindowSeconds'>,
  slot: Date,
  due: Date,
  newest: Date | undefined,
  now: Date,
): Verdict {
  const lateMs = now.getTime() - due.getTime();
  const isNewest = newest?.getTime() === slot.getTime();
  if (isNewest && lateMs <= onTimeMs) return { run: true, late: false, reason: null };
  const missed = (reason: string): Verdict => ({ run: false, late: true, reason });
  if (schedule.misfire === 'skip') return missed('nobody was there at its time');
  if (schedule.misfire === 'once' && !isNewest)
    return missed('nobody was there at its time; a later slot stands for it');
  if (lateMs > schedule.misfireWindowSeconds * 1000) {
    return missed(`nobody was there within ${schedule.misfireWindowSeconds} s of its time`);
  }
  return { run: true, late: true, reason: `made up for, ${Math.round(lateMs / 1000)} s late` };
}

export interface Preview {
  at: string;
  /** Wall-clock time in the schedule's timezone and, where the payload names a client, in the client's. */
  local: string;
  clientLocal: string | null;
  /** How the clocks were changed since the run before, or null. */
  clockChange: string | null;
}
