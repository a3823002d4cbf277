import { Cron } from 'croner';
import { DomainError, parseWith } from '../domain/errors.ts';
import type { Schedule } from '../domain/schedule.ts';
import type { JobDefinition } from '../jobs/engine/define.ts';
import type { Engine } from '../jobs/engine/engine.ts';

export interface RunningScheduler {
  /** The next time of each schedule, or null for one that never comes again. */
  next(): { name: string; at: string | null }[];
  close(): void;
}

function invalid(schedule: Schedule, problem: string, cause?: unknown): DomainError {
  return new DomainError('CONFIG_INVALID', `The schedule "${schedule.name}" is not valid: ${problem}`, {
    details: { schedule: schedule.name },
    hint: 'Correct it under schedules in the configuration.',
    cause,
  });
}

function definitionOf(engine: Engine, schedule: Schedule): JobDefinition {
  const definition = engine.registry.job(schedule.jobType);
  if (!definition) {
    throw invalid(
      schedule,
      `there is no job type "${schedule.jobType}"; known are ${engine.registry.jobTypes().join(', ')}.`,
    );
  }
  try {
    parseWith(definition.payload, schedule.payload, `payload of ${schedule.jobType}`);
  } catch (error) {
    throw invalid(schedule, error instanceof Error ? error.message : String(error), error);
  }
  return definition;
}

/** Calls `tick` with each time that was due, which is the same in every process however late its timer comes. */
function cronOf(schedule: Schedule, tick: (slot: Date) => void): Cron {
  try {
    let due: Date | null = null;
    const cron: Cron = new Cron(schedule.cron, { timezone: schedule.timezone }, () => {
      if (due) tick(due);
      due = cron.nextRun();
    });
    due = cron.nextRun();
    if (due === null) throw new Error('it never comes');
    return cron;
  } catch (error) {
    throw invalid(schedule, error instanceof Error ? error.message : String(error), error);
  }
}

/**
 * Asks for the jobs of `schedules` when their times come. A tick does nothing but write the job's row under a key made
 * of schedule and slot, so that any number of processes may tick and each slot happens once, Redis or no Redis. A slot
 * that falls while no scheduler runs is not made up for.
 *
 * Throws CONFIG_INVALID for a cron or timezone that can't be, an unknown job type, or a payload that does not fit it.
 */
export function startScheduler(engine: Engine, schedules: readonly Schedule[]): RunningScheduler {
  const twice = schedules.find((s, i) => schedules.findIndex((other) => other.name === s.name) !== i);
  if (twice) throw invalid(twice, 'there are two of this name.');
  const checked = schedules.map((schedule) => ({ schedule, definition: definitionOf(engine, schedule) }));
  const crons: { name: string; cron: Cron }[] = [];
  try {
    for (const { schedule, definition } of checked) {
      const tick = (due: Date) => {
        const slot = due.toISOString();
        engine.storage
          .write((tx) =>
            engine.insert(tx, definition, schedule.payload, {
              requestedBy: `schedule:${schedule.name}`,
              idempotencyKey: `schedule:${schedule.name}:${slot}`,
            }),
          )
          .then(() => engine.relay.kick())
          .catch((error: unknown) =>
            engine.log.error({ err: error, schedule: schedule.name, slot }, 'A slot was missed'),
          );
      };
      crons.push({ name: schedule.name, cron: cronOf(schedule, tick) });
    }
  } catch (error) {
    for (const { cron } of crons) cron.stop();
    throw error;
  }
  return {
    next: () => crons.map(({ name, cron }) => ({ name, at: cron.nextRun()?.toISOString() ?? null })),
    close() {
      for (const { cron } of crons) cron.stop();
    },
  };
}
