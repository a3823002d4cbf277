import { Cron } from 'croner';
import { DomainError, parseWith } from '../domain/errors.ts';
import type { Schedule } from '../domain/schedule.ts';
import type { JobDefinition, Registry } from '../jobs/engine/define.ts';
import type { Engine } from '../jobs/engine/engine.ts';

export interface RunningScheduler {
  /** The next time of each schedule, or null for one that never comes again. */
  next(): { name: string; at: string | null }[];
  close(): void;
}

function message(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** What is wrong with a schedule; empty if nothing is. */
function problemsOf(registry: Registry, schedule: Schedule): string[] {
  const problems: string[] = [];
  const definition = registry.job(schedule.jobType);
  if (!definition) {
    problems.push(`there is no job type "${schedule.jobType}"; known are ${registry.jobTypes().join(', ')}`);
  } else {
    try {
      parseWith(definition.payload, schedule.payload, `payload of ${schedule.jobType}`);
    } catch (error) {
      problems.push(message(error));
    }
  }
  try {
    if (new Cron(schedule.cron, { timezone: schedule.timezone, paused: true }).nextRun() === null) {
      problems.push(`the cron "${schedule.cron}" never comes`);
    }
  } catch (error) {
    problems.push(`the cron "${schedule.cron}" can't be read: ${message(error)}`);
  }
  return problems;
}

/**
 * Checks schedules against the job types there are. Throws CONFIG_INVALID with every problem at once: a cron that can't
 * be or never comes, an unknown job type, a payload that does not fit it, two of one name.
 */
export function checkSchedules(registry: Registry, schedules: readonly Schedule[]): void {
  const problems = schedules.flatMap((schedule, index) => {
    const twice = schedules.findIndex((other) => other.name === schedule.name) !== index;
    return [...problemsOf(registry, schedule), ...(twice ? ['there are two of this name'] : [])].map(
      (problem) => ({
        path: `schedules.${schedule.name}`,
        problem,
      }),
    );
  });
  if (problems.length === 0) return;
  const list = problems.map(({ path, problem }) => `${path} — ${problem}`).join('; ');
  throw new DomainError('CONFIG_INVALID', `The schedules are not valid: ${list}`, {
    details: { problems },
    hint: 'Correct them under schedules in the configuration.',
  });
}

/** Calls `tick` with each time that was due, which is the same in every process however late its timer comes. */
function every(schedule: Schedule, tick: (slot: Date) => void): Cron {
  let due: Date | null = null;
  const cron: Cron = new Cron(schedule.cron, { timezone: schedule.timezone }, () => {
    if (due) tick(due);
    due = cron.nextRun();
  });
  due = cron.nextRun();
  return cron;
}

function requireJob(registry: Registry, type: string): JobDefinition {
  const definition = registry.job(type);
  if (!definition) throw new DomainError('INTERNAL', `The job type "${type}" was there a moment ago.`);
  return definition;
}

/**
 * Asks for the jobs of `schedules` when their times come. A tick does nothing but write the job's row under a key made
 * of schedule and slot, so that any number of processes may tick and each slot happens once, Redis or no Redis. A slot
 * that falls while no scheduler runs is not made up for.
 *
 * Throws CONFIG_INVALID as `checkSchedules` does.
 */
export function startScheduler(engine: Engine, schedules: readonly Schedule[]): RunningScheduler {
  checkSchedules(engine.registry, schedules);
  const crons = schedules.map((schedule) => {
    const { name, payload } = schedule;
    const definition = requireJob(engine.registry, schedule.jobType);
    const cron = every(schedule, (due) => {
      const slot = due.toISOString();
      engine.storage
        .write((tx) =>
          engine.insert(tx, definition, payload, {
            requestedBy: `schedule:${name}`,
            idempotencyKey: `schedule:${name}:${slot}`,
          }),
        )
        .then(() => engine.relay.kick())
        .catch((error: unknown) =>
          engine.log.error({ err: error, schedule: name, slot }, 'A slot was missed'),
        );
    });
    return { name, cron };
  });
  return {
    next: () => crons.map(({ name, cron }) => ({ name, at: cron.nextRun()?.toISOString() ?? null })),
    close() {
      for (const { cron } of crons) cron.stop();
    },
  };
}
