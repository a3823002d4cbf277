import { v7 as newId } from 'uuid';
import { clientIdSchema, clientNotFound } from '../domain/client.ts';
import { nowIso } from '../domain/clock.ts';
import { DomainError, parseChanges, parseWith, toDomainError } from '../domain/errors.ts';
import {
  cronProblem,
  dueAt,
  dueSlots,
  jitterProblem,
  nextSlot,
  type Preview,
  type Schedule,
  type ScheduleChanges,
  scheduleChangesSchema,
  type ScheduleInput,
  scheduleInputSchema,
  scheduleNotFound,
  type ScheduleWish,
  type Slot,
  type SlotOutcome,
} from '../domain/schedule.ts';
import type { ScheduleRow } from '../domain/storage/schedule-statements.ts';
import type { Statements } from '../domain/storage/statements.ts';
import type { Registry } from '../jobs/engine/define.ts';
import type { Engine } from '../jobs/engine/engine.ts';
import { previewRuns } from './preview.ts';
import { accountFor } from './slots.ts';

function toSchedule(row: ScheduleRow): Schedule {
  return {
    id: row.id,
    name: row.name,
    cron: row.cron,
    timezone: row.timezone,
    jobType: row.job_type,
    payload: JSON.parse(row.payload),
    misfire: row.misfire,
    misfireWindowSeconds: row.misfire_window_seconds,
    overlap: row.overlap,
    jitterSeconds: row.jitter_seconds,
    paused: row.paused === 1,
    source: row.source,
    lastRunAt: row.last_run_at,
    nextRunAt: row.paused === 1 ? null : row.next_at,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  };
}

type Work = Pick<ScheduleWish, 'cron' | 'timezone' | 'jobType' | 'payload' | 'jitterSeconds'>;

/** What is wrong with a schedule, in words; empty if nothing is. */
function problemsOf(registry: Registry, wish: Work, now: Date): string[] {
  const problems: string[] = [];
  const definition = registry.job(wish.jobType);
  if (!definition) {
    problems.push(`there is no job type "${wish.jobType}"; known are ${registry.jobTypes().join(', ')}`);
  } else {
    try {
      parseWith(definition.payload, wish.payload, `payload of ${wish.jobType}`);
    } catch (error) {
      problems.push(toDomainError(error).message.replace(/\.$/, ''));
    }
  }
  const problem = cronProblem(wish, now) ?? jitterProblem(wish, now);
  if (problem) problems.push(problem);
  return problems;
}

function assertValid(registry: Registry, wish: Work, now: Date): void {
  const problems = problemsOf(registry, wish, now);
  if (problems.length === 0) return;
  throw new DomainError('SCHEDULE_INVALID', `The schedule is not valid: ${problems.join('; ')}.`, {
    details: { problems },
    hint: 'See what a job type takes with: msp-toolkit job types',
  });
}

/**
 * Checks the schedules of a configuration against the job types there are. Throws CONFIG_INVALID with every problem at
 * once: a cron that can't be or never comes, an unknown job type, a payload that does not fit it, two of one name.
 */
export function checkSchedules(registry: Registry, wishes: readonly ScheduleWish[], now: Date): void {
  const problems = wishes.flatMap((wish, index) => {
    const twice = wishes.findIndex((other) => other.name === wish.name) !== index;
    const all = [...problemsOf(registry, wish, now), ...(twice ? ['there are two of this name'] : [])];
    return all.map((problem) => ({ path: `schedules.${wish.name}`, problem }));
  });
  if (problems.length === 0) return;
  const list = problems.map(({ path, problem }) => `${path} — ${problem}`).join('; ');
  throw new DomainError('CONFIG_INVALID', `The schedules are not valid: ${list}`, {
    details: { problems },
    hint: 'Correct them under schedules in the configuration.',
  });
}

/** Schedules as people, agents and the configuration see them. */
export interface Schedules {
  list(): Schedule[];
  /** By name or id. Throws SCHEDULE_NOT_FOUND. */
  get(name: string): Schedule;
  /** What became of the newest slots, newest first, and of all in numbers. */
  history(name: string, limit?: number): { slots: Slot[]; totals: Record<SlotOutcome, number> };
  /** Throws VALIDATION, SCHEDULE_INVALID, SCHEDULE_EXISTS or CLIENT_NOT_FOUND. */
  add(input: ScheduleInput): Promise<Schedule>;
  update(name: string, changes: ScheduleChanges): Promise<Schedule>;
  remove(name: string): Promise<Schedule>;
  pause(name: string): Promise<Schedule>;
  resume(name: string): Promise<Schedule>;
  /** The coming runs. */
  preview(name: string, count: number): Preview[];
  /**
   * Makes the schedules of the configuration, or of the product itself, stand in the database and, to `replace`, no others of that source. Throws
   * CONFIG_INVALID, also where a name is taken by a schedule that was added by a command.
   */
  follow(
    wishes: readonly ScheduleWish[],
    how: 'add' | 'replace',
    source?: 'configuration' | 'product',
  ): Promise<void>;
}

export function openSchedules(engine: Engine, actor: string): Schedules {
  const { storage, registry, clock } = engine;

  function row(tx: Statements, name: string): ScheduleRow {
    const found = tx.scheduleNamed(name) ?? tx.schedule(name);
    if (!found) throw scheduleNotFound(name);
    return found;
  }

  function audit(tx: Statements, action: string, name: string, details: Record<string, unknown> = {}): void {
    tx.addAudit({
      at: nowIso(clock),
      actor,
      action: `schedule.${action}`,
      subject: `schedule:${name}`,
      details,
    });
  }

  function timing(id: string, wish: ScheduleWish, after: Date): { cursor: string; next_at: string | null } {
    const next = nextSlot(wish, after);
    return { cursor: after.toISOString(), next_at: next && dueAt({ ...wish, id }, next).toISOString() };
  }

  /** A row that says what `wish` says and starts, or starts anew, from now on. */
  function rowOf(wish: ScheduleWish, source: ScheduleRow['source'], before?: ScheduleRow): ScheduleRow {
    const now = clock.now();
    const id = before?.id ?? newId();
    return {
      id,
      name: wish.name,
      cron: wish.cron,
      timezone: wish.timezone,
      job_type: wish.jobType,
      payload: JSON.stringify(wish.payload),
      misfire: wish.misfire,
      misfire_window_seconds: wish.misfireWindowSeconds,
      overlap: wish.overlap,
      jitter_seconds: wish.jitterSeconds,
      paused: wish.paused ? 1 : 0,
      source,
      last_run_at: before?.last_run_at ?? null,
      created_at: before?.created_at ?? now.toISOString(),
      updated_at: now.toISOString(),
      ...timing(id, wish, now),
    };
  }

  function assertClient(tx: Statements, payload: Record<string, unknown>): void {
    const id = clientIdSchema.safeParse(payload['clientId']);
    if (id.success && !tx.clientExists(id.data)) throw clientNotFound(id.data);
  }

  function assertByCommand(found: ScheduleRow): void {
    if (found.source === 'command') return;
    const where = found.source === 'product' ? 'is part of the product' : 'stands in the configuration';
    throw new DomainError('SCHEDULE_FIXED', `The schedule "${found.name}" ${where}.`, {
      details: { schedule: found.name },
      hint:
        found.source === 'product'
          ? 'It can be paused and resumed.'
          : 'Change it there; serve takes it over when it starts. Pause and resume work from here.',
    });
  }

  /** Decides by the old terms about what has come due, before the terms change; in several commits if need be. */
  async function closeBooks(id: string): Promise<void> {
    while (await storage.write((tx) => accountFor(tx, engine, id, clock.now()).more));
    engine.relay.kick();
  }

  /** Takes back what was decided while the clock was ahead of its time, so that those slots come again. */
  function takeBack(tx: Statements, found: ScheduleRow): void {
    const now = clock.now();
    if (found.cursor <= now.toISOString()) return;
    tx.forgetFutureSlots(found.id, now.toISOString());
    const last = tx.slots(found.id, 1)[0];
    if (!last || last.until <= now.toISOString()) return;
    const timing = { id: found.id, cron: found.cron, timezone: found.timezone, jitterSeconds: 0 };
    const past = dueSlots(timing, new Date(last.slot), now, last.count).slots;
    tx.cutSlots(found.id, last.slot, past.at(-1)?.toISOString() ?? last.slot, past.length + 1);
  }

  async function setPaused(name: string, paused: boolean): Promise<Schedule> {
    await closeBooks(row(storage.read, name).id);
    return storage.write((tx) => {
      const found = row(tx, name);
      takeBack(tx, found);
      tx.putSchedule(rowOf({ ...wishOf(found), paused }, found.source, found));
      audit(tx, paused ? 'pause' : 'resume', found.name);
      return toSchedule(row(tx, name));
    });
  }

  function wishOf(found: ScheduleRow): ScheduleWish {
    const { name, cron, timezone, jobType, payload, misfire, ...rest } = toSchedule(found);
    const { misfireWindowSeconds, overlap, jitterSeconds, paused } = rest;
    return {
      name,
      cron,
      timezone,
      jobType,
      payload,
      misfire,
      misfireWindowSeconds,
      overlap,
      jitterSeconds,
      paused,
    };
  }

  return {
    list: () => storage.read.schedules().map(toSchedule),
    get: (name) => toSchedule(row(storage.read, name)),

    history(name, limit = 50) {
      const { id } = row(storage.read, name);
      const slots = storage.read
        .slots(id, limit)
        .map(({ job_id: jobId, job_state: jobState, ...slot }): Slot => ({ ...slot, jobId, jobState }));
      return { slots, totals: storage.read.slotTotals(id) };
    },

    add(input) {
      const wish = parseWith(scheduleInputSchema, input, 'schedule');
      assertValid(registry, wish, clock.now());
      return storage.write((tx) => {
        assertClient(tx, wish.payload);
        if (tx.scheduleNamed(wish.name)) {
          throw new DomainError('SCHEDULE_EXISTS', `There is a schedule "${wish.name}" already.`, {
            details: { schedule: wish.name },
            hint: `Change it with: msp-toolkit schedule update ${wish.name}`,
          });
        }
        tx.putSchedule(rowOf(wish, 'command'));
        audit(tx, 'add', wish.name, { ...wish });
        return toSchedule(row(tx, wish.name));
      });
    },

    async update(name, input) {
      const changes = parseChanges(scheduleChangesSchema, input);
      const before = row(storage.read, name);
      assertByCommand(before);
      assertValid(registry, { ...wishOf(before), ...changes } as ScheduleWish, clock.now());
      await closeBooks(before.id);
      return storage.write((tx) => {
        const found = row(tx, name);
        const wish = { ...wishOf(found), ...changes } as ScheduleWish;
        assertClient(tx, wish.payload);
        takeBack(tx, found);
        tx.putSchedule(rowOf(wish, 'command', found));
        audit(tx, 'update', found.name, changes);
        return toSchedule(row(tx, name));
      });
    },

    remove(name) {
      return storage.write((tx) => {
        const found = row(tx, name);
        assertByCommand(found);
        tx.removeSchedule(found.id);
        audit(tx, 'remove', found.name);
        return toSchedule(found);
      });
    },

    pause: (name) => setPaused(name, true),
    resume: (name) => setPaused(name, false),

    preview(name, count) {
      const found = row(storage.read, name);
      const schedule = toSchedule(found);
      const clientId = clientIdSchema.safeParse(schedule.payload['clientId']);
      const zone = clientId.success ? storage.read.clientTimezone(clientId.data) : undefined;
      return previewRuns(schedule, clock.now(), count, zone);
    },

    async follow(wishes, how, of = 'configuration') {
      if (wishes.length === 0 && how === 'add') return;
      checkSchedules(registry, wishes, clock.now());
      for (const { id } of storage.read.schedules().filter(({ source }) => source === of))
        await closeBooks(id);
      await storage.write((tx) => {
        for (const wish of wishes) {
          const found = tx.scheduleNamed(wish.name);
          if (found && found.source !== of) {
            throw new DomainError(
              'CONFIG_INVALID',
              `The ${of} names a schedule "${wish.name}", and there is one of that name from the ${found.source} already.`,
              { hint: `Take one of them away, such as with: msp-toolkit schedule remove ${wish.name}` },
            );
          }
          // Pausing is done by command, so a pause stays through a restart.
          const now = rowOf({ ...wish, paused: found ? found.paused === 1 : wish.paused }, of, found);
          if (!found || !sayTheSame(found, now)) {
            tx.putSchedule(now);
            audit(tx, found ? 'update' : 'add', wish.name, { ...wish });
          }
        }
        if (how === 'add') return;
        const names = new Set(wishes.map(({ name }) => name));
        for (const gone of tx.schedules()) {
          if (gone.source !== of || names.has(gone.name)) continue;
          tx.removeSchedule(gone.id);
          audit(tx, 'remove', gone.name);
        }
      });
    },
  };
}

const said = [
  'cron',
  'timezone',
  'job_type',
  'payload',
  'misfire',
  'misfire_window_seconds',
  'overlap',
  'jitter_seconds',
] as const;

function sayTheSame(a: ScheduleRow, b: ScheduleRow): boolean {
  return said.every((key) => a[key] === b[key]);
}
