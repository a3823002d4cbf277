import { settleAlert, resolve, type SettleContext } from '../alert/settle.ts';
import { covers, isOpen, toWindow } from '../maintenance.ts';
import type { StateRow } from '../storage/check-statements.ts';
import type { Statements } from '../storage/statements.ts';
import type { RawResult } from '../history/runs.ts';
import type { Measurement } from './check.ts';
import type { DeviceAnswer, Recording } from './record.ts';
import { advance, type Standing } from './state.ts';
import { type Effective, judge } from './thresholds.ts';
import { behindDown, parentsFirst } from './dependencies.ts';

/** What a client's things are known to be, while a run over its devices is recorded. */
export interface Book {
  /** What others depend on comes before them. */
  inOrder(answers: readonly DeviceAnswer[]): DeviceAnswer[];
  /** A check that failed as a whole says so of each thing that it is known to look at. */
  expand(answer: DeviceAnswer): Measurement[];
  /** Judges a measurement and makes it count. */
  apply(measurement: Measurement, answer: DeviceAnswer, limits: ReadonlyMap<string, Effective>): RawResult;
  /** Lets go of what is checked no longer, and answers with what has gone by itself. */
  missing(answer: DeviceAnswer): Measurement[];
}

/** How long a thing that has gone by itself is asked after, in ms. */
const goneMs = 7 * 86_400_000;

/** The state in which a stretch of time is booked: the status, or that nobody could tell how it was. */
export function spanStatus(state: Pick<StateRow, 'status' | 'unreachable'>): string {
  return state.unreachable ? 'unreachable' : state.status;
}

function standingOf(row: StateRow): Standing {
  return {
    status: row.status,
    hard: row.hard,
    tries: row.tries,
    since: row.since,
    at: row.at,
    holdUntil: row.hold_until,
    changes: row.changes,
    flapping: row.flapping === 1,
    unreachable: row.unreachable === 1,
    known: row.known === 1,
  };
}

export function openBook(tx: Statements, recording: Recording): Book {
  const { clientId, catalogue, policy, now, tell } = recording;
  const nowIso = now.toISOString();
  const states = Map.groupBy(tx.statesOf(clientId), (row) => row.device_id);
  const windows = tx
    .windows(clientId, nowIso)
    .map(toWindow)
    .filter((window) => isOpen(window, now.getTime()));
  const touched = new Set<number>();

  const ofDevice = (deviceId: string) => states.get(deviceId) ?? [];
  const present = (deviceId: string, check: string) =>
    ofDevice(deviceId).filter((row) => row.check_name === check && row.retired_at === null);
  const isCut = behindDown(recording.devices, (deviceId) => {
    const ways = ofDevice(deviceId).filter(
      (row) =>
        row.retired_at === null &&
        row.hold_until >= nowIso &&
        recording.reachability.includes(row.check_name),
    );
    // One way that works is enough: a broken web page of a gateway cuts nobody off.
    return (
      ways.some((row) => row.status === 'critical') &&
      !ways.some((row) => row.status === 'healthy' || row.status === 'warning')
    );
  });
  const looksFromOutside = (check: string) =>
    catalogue.find((type) => type.name === check)?.runs !== 'on-device';

  function settleContext(row: StateRow): SettleContext {
    const thing = { clientId, deviceId: row.device_id, check: row.check_name };
    const window = windows.find((w) => covers(w, thing));
    return { now: nowIso, tell, suppressedBy: window && `maintenance: ${window.reason}` };
  }

  /** Closes the stretch that the row is in, as of the result that follows it. */
  function closeSpan(row: StateRow, at: string): void {
    const until = Math.min(Date.parse(at), Date.parse(row.hold_until));
    tx.addSpan(row.id, row.span_from, until, spanStatus(row), row.message);
  }

  function retire(row: StateRow): void {
    closeSpan(row, nowIso);
    const alert = row.alert_id ? tx.alert(row.alert_id) : undefined;
    if (alert) resolve(tx, alert, 'retired', 'it is checked no longer', { now: nowIso, tell });
    row.alert_id = null;
    row.retired_at = nowIso;
    tx.putState(row);
  }

  // Most measurements of a run are of a few moments.
  let moment = { at: '', ms: 0, holdUntil: '' };
  function momentOf(at: string): typeof moment {
    if (moment.at !== at) {
      const ms = Date.parse(at);
      moment = { at, ms, holdUntil: new Date(ms + recording.holdMs).toISOString() };
    }
    return moment;
  }

  const apply: Book['apply'] = (m, { device }, limits) => {
    const found = ofDevice(device.id).find(
      (row) => row.check_name === m.check && row.instance === m.instance,
    );
    const live = found?.retired_at === null ? found : undefined;
    const { status, thresholds } = judge(m, limits, live?.status);
    const { ms, holdUntil } = momentOf(m.at);
    const raw: RawResult = {
      stateId: found?.id ?? 0,
      status,
      verdict: m.status,
      message: m.message,
      values: m.values,
      limits: thresholds,
      at: ms,
      ms: m.ms,
    };
    // One that was measured before what is known already belongs to the raw history alone. What is known from a time
    // that has yet to come is of a clock that was ahead, and stands in nobody's way.
    if (live && live.at > m.at && live.at <= nowIso) {
      touched.add(live.id);
      return raw;
    }
    // What was measured on the device itself stands, whatever lies before it.
    const blind = status === 'unknown' || (status !== 'healthy' && looksFromOutside(m.check));
    const unreachable = blind && isCut(device.id);
    const before = live && live.at <= nowIso ? standingOf(live) : undefined;
    const longer = recording.extends && before?.status === status && before.holdUntil > holdUntil;
    const outcome = {
      status,
      at: m.at,
      holdUntil: longer ? before.holdUntil : holdUntil,
      unreachable,
    };
    const advanced = advance(before, outcome, policy);
    const { next } = advanced;
    if (live && advanced.changed) closeSpan(live, m.at);
    const row: StateRow = {
      id: raw.stateId,
      client_id: clientId,
      device_id: device.id,
      check_name: m.check,
      instance: m.instance,
      status: next.status,
      hard: next.hard,
      tries: next.tries,
      since: next.since,
      at: next.at,
      hold_until: next.holdUntil,
      message: m.message,
      vals: JSON.stringify(m.values),
      limits: thresholds && JSON.stringify(thresholds),
      ms: m.ms,
      changes: next.changes,
      flapping: next.flapping ? 1 : 0,
      unreachable: next.unreachable ? 1 : 0,
      known: next.known ? 1 : 0,
      span_from: live && !advanced.changed ? live.span_from : ms,
      retired_at: null,
      alert_id: live?.alert_id ?? null,
    };
    if (row.hard !== 'healthy' || row.flapping === 1 || row.alert_id !== null) {
      settleAlert(tx, row, advanced, settleContext(row));
    }
    if (found) {
      if (live && isSteady(live, row)) tx.touchState(row);
      else tx.putState(row);
      Object.assign(found, row);
    } else {
      raw.stateId = row.id = tx.addState(row);
      const all = states.get(device.id);
      if (all) all.push(row);
      else states.set(device.id, [row]);
    }
    touched.add(row.id);
    return raw;
  };

  return {
    inOrder: (answers) => parentsFirst(answers, recording.devices),
    apply,
    expand({ device, measurements }) {
      const failed = (m: Measurement) => m.status === 'unknown' && m.instance === '' && m.values.length === 0;
      if (!measurements.some(failed)) return measurements;
      return measurements.flatMap((m) => {
        // One of several that failed speaks for itself alone.
        const alone = failed(m) && measurements.every((other) => other === m || other.check !== m.check);
        const things = alone ? present(device.id, m.check) : [];
        return things.length > 0 ? things.map((row) => ({ ...m, instance: row.instance })) : [m];
      });
    },
    missing({ device, measurements, complete }) {
      const left = ofDevice(device.id).filter((row) => row.retired_at === null && !touched.has(row.id));
      return left.flatMap((row): Measurement[] => {
        const first = measurements.find((m) => m.check === row.check_name);
        if (!first) {
          if (complete) retire(row);
          return [];
        }
        const type = catalogue.find((t) => t.name === row.check_name);
        const longGone = row.status === 'unknown' && now.getTime() - Date.parse(row.since) > goneMs;
        if (!type?.discovers || row.instance === '' || longGone) {
          retire(row);
          return [];
        }
        const values = (JSON.parse(row.vals) as Measurement['values']).map((v) => ({ ...v, value: null }));
        const message = `${row.instance} was there before and is gone`;
        const thing = { check: row.check_name, instance: row.instance };
        return [{ ...thing, status: 'unknown', message, values, at: first.at, ms: 0 }];
      });
    },
  };
}

/** Whether nothing has come of a result but that there is a newer one. */
function isSteady(before: StateRow, after: StateRow): boolean {
  return (
    before.status === after.status &&
    before.hard === after.hard &&
    before.tries === after.tries &&
    before.changes === after.changes &&
    before.limits === after.limits &&
    before.known === after.known &&
    before.span_from === after.span_from &&
    before.flapping === after.flapping &&
    before.unreachable === after.unreachable &&
    before.alert_id === after.alert_id
  );
}
