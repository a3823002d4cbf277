/** Where the time comes from, so that tests can set it. */
export interface Clock {
  now(): Date;
}

export const systemClock: Clock = { now: () => new Date() };

/** The present as ISO 8601 in UTC with milliseconds, the form in which every time is stored and printed. */
export function nowIso(clock: Clock): string {
  return clock.now().toISOString();
}
