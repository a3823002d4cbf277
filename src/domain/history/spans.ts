import type { StateRow } from '../storage/check-statements.ts';
import type { Statements } from '../storage/statements.ts';
import { spanStatus } from '../check/book.ts';
import type { Bucket } from './buckets.ts';

/** What a thing can be found to be over a stretch of time; what lies between stretches is not known at all. */
export const spanStates = ['healthy', 'warning', 'critical', 'unknown', 'unreachable'] as const;
export type SpanState = (typeof spanStates)[number];

/** A stretch of one state, half-open, in ms since the epoch. `message` is what was last said in it. */
export interface Span {
  from: number;
  until: number;
  state: SpanState;
  message: string;
}

/** A thing that was checked, with its states over a period in order. */
export interface Timeline {
  thing: StateRow;
  spans: Span[];
}

function stateOf(text: string): SpanState {
  return spanStates.find((state) => state === text) ?? 'unknown';
}

/** The states of a client's things over a half-open period, cut to it; the present stretch counts as far as it holds. */
export function readTimelines(
  tx: Statements,
  query: { clientId: string; deviceId?: string | undefined; from: number; to: number; now: number },
): Timeline[] {
  const { clientId, deviceId, from, to, now } = query;
  const closed = Map.groupBy(tx.spansBetween(clientId, deviceId ?? null, from, to), (row) => row.state_id);
  return tx
    .statesOf(clientId)
    .filter((thing) => deviceId === undefined || thing.device_id === deviceId)
    .map((thing) => {
      const spans = (closed.get(thing.id) ?? []).map((row): Span => ({
        from: row.from_ms,
        until: row.until_ms,
        state: stateOf(row.status),
        message: row.message,
      }));
      if (thing.retired_at === null) {
        const until = Math.min(Date.parse(thing.hold_until), Math.max(now, Date.parse(thing.at)));
        spans.push({
          from: thing.span_from,
          until,
          state: stateOf(spanStatus(thing)),
          message: thing.message,
        });
      }
      const cut = spans
        .map((span) => ({ ...span, from: Math.max(span.from, from), until: Math.min(span.until, to) }))
        .filter((span) => span.from < span.until);
      return { thing, spans: cut };
    });
}

/** Ms in each state, bucket by bucket; what is missing to a bucket's length is not known. */
export function timeInStates(
  spans: readonly Span[],
  buckets: readonly Bucket[],
): Record<SpanState, number>[] {
  let first = 0;
  return buckets.map(({ start, until }) => {
    const time: Record<SpanState, number> = {
      healthy: 0,
      warning: 0,
      critical: 0,
      unknown: 0,
      unreachable: 0,
    };
    while (first < spans.length && (spans[first]?.until ?? 0) <= start) first += 1;
    for (let i = first; i < spans.length; i += 1) {
      const span = spans[i];
      if (!span || span.from >= until) break;
      time[span.state] += Math.min(span.until, until) - Math.max(span.from, start);
    }
    return time;
  });
}
