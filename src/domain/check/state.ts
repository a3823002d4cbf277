import type { Status } from './check.ts';

/**
 * What is known of one thing that is checked. A bad result is soft until it has been found so often in a row as the
 * attempts say; then it is hard, and only what is hard raises an alert. One good result ends either.
 */
export interface Standing {
  status: Status;
  hard: Status;
  /** Bad results in a row while the hard state is still good. */
  tries: number;
  /** Since when the status is what it is. */
  since: string;
  /** When it was measured last. */
  at: string;
  /** Until when that result counts, if no newer one comes. */
  holdUntil: string;
  /** The last 20 results: a bit each, set where the status changed; the newest is the lowest. */
  changes: number;
  flapping: boolean;
  /** Behind something that is down, so nobody can tell how it is. */
  unreachable: boolean;
  /** Whether it was ever measured; what never was raises no alert. */
  known: boolean;
}

export interface StatePolicy {
  /** Bad results in a row before a state is hard. */
  attempts: number;
  flapping: { startsAbove: number; endsAtOrBelow: number };
}

export interface Outcome {
  status: Status;
  at: string;
  holdUntil: string;
  unreachable: boolean;
}

export interface Advanced {
  next: Standing;
  /** The status is not what it was, or there was a gap before it. */
  changed: boolean;
  hardChanged: boolean;
  flappingStarted: boolean;
  flappingEnded: boolean;
}

const ring = 20;
const mask = (1 << ring) - 1;

/**
 * How much a state changes, from 0 to 100: each of the last 20 results that brought a change weighs from 0.8 (the
 * oldest) to 1.18 (the newest).
 *
 * Source: Icinga 2, flapping detection.
 */
export function flappingValue(changes: number): number {
  let sum = 0;
  for (let age = 0; age < ring; age += 1) {
    if (changes & (1 << age)) sum += 0.8 + 0.02 * (ring - 1 - age);
  }
  return (100 * sum) / ring;
}

/** What a result makes of what was known before; `before` is undefined for the first. */
export function advance(before: Standing | undefined, result: Outcome, policy: StatePolicy): Advanced {
  const bad = result.status !== 'healthy';
  const known = before?.known === true || result.status !== 'unknown';
  const statusChanged = before !== undefined && before.status !== result.status;
  const gap = before !== undefined && before.holdUntil < result.at;
  const changes = (((before?.changes ?? 0) << 1) | (statusChanged ? 1 : 0)) & mask;
  const value = flappingValue(changes);
  const wasFlapping = before?.flapping ?? false;
  const flapping = wasFlapping ? value > policy.flapping.endsAtOrBelow : value > policy.flapping.startsAbove;

  const hardBefore = before?.hard ?? 'healthy';
  let hard: Status = hardBefore;
  let tries = 0;
  if (!bad) hard = 'healthy';
  else if (!known) hard = 'unknown';
  else if (hardBefore !== 'healthy' && before?.known) hard = result.status;
  else {
    tries = (before?.known ? before.tries : 0) + 1;
    hard = tries >= policy.attempts ? result.status : 'healthy';
    if (hard !== 'healthy') tries = 0;
  }
  return {
    next: {
      status: result.status,
      hard,
      tries,
      since: statusChanged || !before ? result.at : before.since,
      at: result.at,
      holdUntil: result.holdUntil,
      changes,
      flapping,
      unreachable: result.unreachable,
      known,
    },
    changed: statusChanged || gap || before === undefined || before.unreachable !== result.unreachable,
    hardChanged: hard !== hardBefore,
    flappingStarted: flapping && !wasFlapping,
    flappingEnded: wasFlapping && !flapping,
  };
}
