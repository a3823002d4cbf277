import { z } from 'zod';
import type { Timeline } from './history/spans.ts';
import { covers, type MaintenanceWindow, occurrences } from './maintenance.ts';

/** What a device can be at a moment, as far as agreed availability goes. */
export const deviceStates = ['up', 'down', 'unreachable', 'maintenance', 'noData'] as const;
export type DeviceState = (typeof deviceStates)[number];

/** A half-open stretch of one state, in ms since the epoch. */
export interface Stretch {
  from: number;
  until: number;
  state: DeviceState;
}

export const availabilitySchema = z.object({
  name: z.string(),
  up: z.number().describe('seconds'),
  down: z.number().describe('seconds'),
  unreachable: z.number().describe('seconds: what lies before it was down'),
  maintenance: z.number().describe('seconds of planned maintenance that are left out'),
  noData: z.number().describe('seconds'),
  percent: z.number().nullable().describe('up of what is known and not left out; null for no data'),
  outages: z.number(),
  mttrMinutes: z.number().nullable().describe('mean time to recovery, of the outages that are over'),
  mtbfHours: z.number().nullable().describe('mean time up between outages'),
});
export type Availability = z.infer<typeof availabilitySchema>;

interface Rules {
  /** Checks that tell whether a device is up; null for every check. */
  reachability: readonly string[] | null;
  windows: readonly MaintenanceWindow[];
  /** Whether maintenance counts like any other time. */
  maintenanceCounts: boolean;
}

/**
 * The states of one device over a half-open period, without a gap. It is down while a check of its reachability is
 * critical; unreachable while nobody could tell since the way there was cut; up while anything on it was measured
 * otherwise; and for the rest there is no data.
 */
export function deviceStretches(
  timelines: readonly Timeline[],
  device: { clientId: string; deviceId: string },
  period: { from: number; to: number },
  rules: Rules,
): Stretch[] {
  const { from, to } = period;
  // The later one wins where several are true at a time.
  const ranks: DeviceState[] = ['up', 'unreachable', 'down', 'maintenance'];
  const edges: { at: number; rank: number; step: 1 | -1 }[] = [];
  const add = (state: DeviceState, start: number, end: number) => {
    const [a, b] = [Math.max(start, from), Math.min(end, to)];
    if (a >= b) return;
    const rank = ranks.indexOf(state);
    edges.push({ at: a, rank, step: 1 }, { at: b, rank, step: -1 });
  };
  for (const { thing, spans } of timelines) {
    const decides = rules.reachability === null || rules.reachability.includes(thing.check_name);
    for (const span of spans) {
      if (span.state === 'unreachable') add('unreachable', span.from, span.until);
      else if (span.state === 'critical' && decides) add('down', span.from, span.until);
      else if (span.state !== 'unknown') add('up', span.from, span.until);
    }
  }
  if (!rules.maintenanceCounts) {
    // A window for some checks alone does not take the device out of service.
    for (const window of rules.windows.filter((w) => covers(w, device)))
      // One that recurs does not reach back to before it was planned; a single one may excuse what is past.
      for (const [start, end] of occurrences(window, since(window, from), to)) add('maintenance', start, end);
  }
  edges.sort((a, b) => a.at - b.at);
  const open = [0, 0, 0, 0];
  const stretches: Stretch[] = [];
  const put = (start: number, until: number) => {
    if (start >= until) return;
    const state = ranks[open.findLastIndex((n) => n > 0)] ?? 'noData';
    const last = stretches.at(-1);
    if (last?.state === state) last.until = until;
    else stretches.push({ from: start, until, state });
  };
  let at = from;
  for (const edge of edges) {
    put(at, edge.at);
    at = edge.at;
    open[edge.rank] = (open[edge.rank] ?? 0) + edge.step;
  }
  put(at, to);
  return stretches;
}

function since(window: MaintenanceWindow, from: number): number {
  return window.cron === null ? from : Math.max(from, Date.parse(window.createdAt) || from);
}

/** One time of being down, in ms since the epoch; `until` is null while it lasts. */
export interface Outage {
  from: number;
  until: number | null;
  /** Ms for which it was known to be down. */
  downMs: number;
}

/** Times of being down. One goes on until the device is found up: not knowing in between ends nothing. */
export function outagesOf(stretches: readonly Stretch[]): Outage[] {
  const outages: Outage[] = [];
  let open: Outage | undefined;
  for (const { from, until, state } of stretches) {
    if (state === 'down') {
      if (!open) outages.push((open = { from, until: null, downMs: 0 }));
      open.downMs += until - from;
    } else if (state === 'up' && open) {
      open.until = from;
      open = undefined;
    }
  }
  return outages;
}

/**
 * Sums up the stretches of one device or of several. MTTR is the mean time down of the outages that are over, MTBF the
 * time up for each outage.
 */
export function summarizeAvailability(name: string, devices: readonly (readonly Stretch[])[]): Availability {
  const ms: Record<DeviceState, number> = { up: 0, down: 0, unreachable: 0, maintenance: 0, noData: 0 };
  for (const { state, from, until } of devices.flat()) ms[state] += until - from;
  const outages = devices.flatMap(outagesOf);
  const over = outages.filter((outage) => outage.until !== null);
  const known = ms.up + ms.down + ms.unreachable;
  const seconds = (value: number) => Math.round(value / 1000);
  return {
    name,
    up: seconds(ms.up),
    down: seconds(ms.down),
    unreachable: seconds(ms.unreachable),
    maintenance: seconds(ms.maintenance),
    noData: seconds(ms.noData),
    percent: known === 0 ? null : (ms.up / known) * 100,
    outages: outages.length,
    mttrMinutes:
      over.length === 0 ? null : over.reduce((sum, outage) => sum + outage.downMs, 0) / over.length / 60_000,
    mtbfHours: outages.length === 0 ? null : ms.up / outages.length / 3_600_000,
  };
}
