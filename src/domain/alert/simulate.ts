import { z } from 'zod';
import type { CheckValue, Status } from '../check/check.ts';
import type { Catalogue } from '../check/check-type.ts';
import { advance, type Standing, type StatePolicy } from '../check/state.ts';
import { type Effective, judge } from '../check/thresholds.ts';
import { readGrid } from '../history/grid.ts';
import { unpackRun } from '../history/runs.ts';
import { readTimelines, type Span } from '../history/spans.ts';
import { covers, isOpen, type MaintenanceWindow } from '../maintenance.ts';
import type { StateRow } from '../storage/check-statements.ts';
import type { Statements } from '../storage/statements.ts';
import { isWorse, severities } from './alert.ts';
import { problemOf } from './settle.ts';

export const simulatedAlertSchema = z.object({
  clientId: z.string(),
  deviceId: z.string(),
  check: z.string(),
  instance: z.string().nullable(),
  severity: z.enum(severities).describe('the worst it was'),
  message: z.string(),
  openedAt: z.string(),
  resolvedAt: z.string().nullable(),
});
export type SimulatedAlert = z.infer<typeof simulatedAlertSchema>;

/** A stored result as it is replayed: what the check itself said, and its values. */
interface Replayed {
  at: number;
  verdict: Status | null;
  values: CheckValue[];
  message: string;
}

export interface Simulation {
  clientId: string;
  timezone: string;
  /** Half-open, in ms since the epoch. */
  from: number;
  to: number;
  catalogue: Catalogue;
  /** Of each device of the client. */
  limits: (deviceId: string) => ReadonlyMap<string, Effective>;
  policy: StatePolicy;
  windows: readonly MaintenanceWindow[];
}

export interface Simulated {
  alerts: SimulatedAlert[];
  /** Results that were replayed, and how many of them were means of a minute. */
  results: number;
  coarse: number;
}

/**
 * Replays the stored history of a client through other thresholds and windows. Where raw results are kept no more, means
 * by the minute stand for them, and what a check said of its own accord is taken from the states of that time.
 */
export function simulate(tx: Statements, wish: Simulation): Simulated {
  const { clientId, from, to } = wish;
  const timelines = readTimelines(tx, { clientId, from, to, now: to });
  const raw = Map.groupBy(
    tx.runsBetween(clientId, from, to).flatMap((run) => unpackRun(run.at, run.data)),
    (result) => result.stateId,
  );
  let firstRaw = to;
  for (const results of raw.values()) for (const { at } of results) firstRaw = Math.min(firstRaw, at);
  // The minute in which the raw results begin is told by them.
  const rolledUntil = Math.max(from, Math.floor(firstRaw / 60_000) * 60_000);
  const grid = readGrid(tx, { clientId, timezone: wish.timezone, level: 'minute', from, to: rolledUntil });
  const minutes = Map.groupBy(grid.series, (series) => series.stateId);
  const found: Simulated = { alerts: [], results: 0, coarse: 0 };
  for (const { thing, spans } of timelines) {
    const replayed: Replayed[] = [];
    const own = raw.get(thing.id) ?? [];
    // What a check says of its own accord is known by its states alone; what thresholds said is to be judged anew.
    const judgedByThresholds = own.length > 0 ? own.some((r) => r.verdict === null) : hasLimits(thing, wish);
    if (!judgedByThresholds) replayed.push(...verdictsOf(thing, spans, rolledUntil));
    const series = judgedByThresholds && rolledUntil > from ? (minutes.get(thing.id) ?? []) : [];
    for (const [i, bucket] of series.length > 0 ? grid.buckets.entries() : []) {
      const values = series
        .filter((s) => (s.count[i] ?? 0) > 0)
        .map((s) => ({ name: s.value, value: s.avg[i] ?? null, unit: s.unit }));
      if (values.length === 0) continue;
      const order = Object.keys(wish.catalogue.find((t) => t.name === thing.check_name)?.values ?? {});
      values.sort((a, b) => order.indexOf(a.name) - order.indexOf(b.name));
      const said = spanAt(spans, bucket.start)?.message ?? '';
      replayed.push({ at: bucket.start, verdict: null, values, message: said });
    }
    found.coarse += replayed.length;
    for (const r of own)
      replayed.push({ at: r.at, verdict: r.verdict, values: r.values, message: r.message });
    found.results += replayed.length;
    found.alerts.push(...replay(thing, spans, replayed, wish));
  }
  found.alerts.sort((a, b) => a.openedAt.localeCompare(b.openedAt));
  return found;
}

/** Whether a check is judged by the limits of its main value, as those that run on the device are. */
function hasLimits(thing: StateRow, wish: Simulation): boolean {
  const type = wish.catalogue.find((t) => t.name === thing.check_name);
  const main = Object.values(type?.values ?? {})[0];
  return type?.runs === 'on-device' && main?.warning !== undefined;
}

/** States as the results that brought them: as many as would have come while they lasted. */
function verdictsOf(thing: StateRow, spans: readonly Span[], until: number): Replayed[] {
  const step = Math.max(60_000, (Date.parse(thing.hold_until) - Date.parse(thing.at)) / 3);
  const found: Replayed[] = [];
  for (const { from, until: end, state, message } of spans) {
    const verdict = state === 'unreachable' ? 'critical' : state;
    for (let at = from; at < Math.min(end, until); at += step)
      found.push({ at, verdict, values: [], message });
  }
  return found;
}

/** Whether a window is open; one that recurs is so only since it was planned. */
function counts(window: MaintenanceWindow, at: number): boolean {
  return (window.cron === null || Date.parse(window.createdAt) <= at) && isOpen(window, at);
}

function spanAt(spans: readonly Span[], at: number): Span | undefined {
  return spans.find((span) => span.from <= at && at < span.until);
}

function replay(
  thing: StateRow,
  spans: readonly Span[],
  results: readonly Replayed[],
  wish: Simulation,
): SimulatedAlert[] {
  const alerts: SimulatedAlert[] = [];
  const holdMs = Date.parse(thing.hold_until) - Date.parse(thing.at);
  const limits = wish.limits(thing.device_id);
  const place = { clientId: thing.client_id, deviceId: thing.device_id, check: thing.check_name };
  const windows = wish.windows.filter((window) => covers(window, place));
  let standing: Standing | undefined;
  let open: SimulatedAlert | undefined;
  for (const result of results) {
    const at = new Date(result.at).toISOString();
    const unreachable = spanAt(spans, result.at)?.state === 'unreachable';
    const judged = { check: thing.check_name, status: result.verdict, values: result.values };
    const { status } = judge(judged, limits, standing?.status);
    const holdUntil = new Date(result.at + holdMs).toISOString();
    standing = advance(standing, { status, at, holdUntil, unreachable }, wish.policy).next;
    const severity = problemOf({
      hard: standing.hard,
      flapping: standing.flapping ? 1 : 0,
      known: standing.known ? 1 : 0,
    });
    if (!severity) {
      if (open) open.resolvedAt = at;
      open = undefined;
    } else if (open) {
      if (isWorse(severity, open.severity)) open.severity = severity;
    } else if (!unreachable && !windows.some((window) => counts(window, result.at))) {
      open = {
        ...place,
        instance: thing.instance || null,
        severity,
        message: result.message,
        openedAt: at,
        resolvedAt: null,
      };
      alerts.push(open);
    }
  }
  return alerts;
}
