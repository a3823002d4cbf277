import { v7 as newId } from 'uuid';
import type { Advanced } from '../check/state.ts';
import type { AlertRow } from '../storage/alert-statements.ts';
import type { StateRow } from '../storage/check-statements.ts';
import type { Statements } from '../storage/statements.ts';
import { fingerprintOf, isWorse, type Severity, severityOf } from './alert.ts';

/** What channels may be told of an alert. */
export const alertEvents = ['opened', 'worse', 'reminder', 'escalated', 'resolved'] as const;
export type AlertEventName = (typeof alertEvents)[number];

/** Sees to it that whoever ought to know of an event of an alert hears of it, in the transaction of that event. */
export type Tell = (tx: Statements, alert: AlertRow, event: AlertEventName) => void;

export interface SettleContext {
  now: string;
  tell: Tell;
  /** Why no alert may be raised for this thing now, or undefined. Never stands in the way of resolving one. */
  suppressedBy: string | undefined;
}

/** Whether a state calls for an alert, and how severe a one. */
export function problemOf(state: Pick<StateRow, 'hard' | 'flapping' | 'known'>): Severity | undefined {
  if (state.hard !== 'healthy' && state.known) return severityOf(state.hard);
  return state.flapping ? 'warning' : undefined;
}

/**
 * Makes the alert of a state follow it: opens one, notes that it got worse or better, resolves it. The state's
 * `alert_id` is changed with it; the caller stores the state.
 */
export function settleAlert(
  tx: Statements,
  state: StateRow,
  advanced: Pick<Advanced, 'flappingStarted' | 'flappingEnded'>,
  context: SettleContext,
): void {
  const { now } = context;
  const severity = problemOf(state);
  const alert = state.alert_id ? tx.alert(state.alert_id) : undefined;
  if (alert) {
    if (advanced.flappingStarted) note(tx, alert, now, 'flapping', 'its state changes all the time');
    if (advanced.flappingEnded) note(tx, alert, now, 'stable', 'its state has settled');
  }
  if (!severity) {
    if (alert) resolve(tx, alert, 'recovery', state.message, context);
    state.alert_id = null;
    return;
  }
  if (alert) {
    update(tx, alert, state, severity, context);
    return;
  }
  state.alert_id = null;
  if (context.suppressedBy !== undefined || state.unreachable) return;
  state.alert_id = open(tx, state, severity, advanced.flappingStarted, context);
}

function note(tx: Statements, alert: AlertRow, at: string, what: string, text: string | null): void {
  tx.addAlertEvent(alert.id, { at, what, who: 'monitor', note: text });
}

function open(
  tx: Statements,
  state: StateRow,
  severity: Severity,
  flapping: boolean,
  { now, tell }: SettleContext,
): string {
  const fingerprint = fingerprintOf({
    clientId: state.client_id,
    deviceId: state.device_id,
    check: state.check_name,
    instance: state.instance,
  });
  const alert = tx.openAlert({
    id: newId(),
    client_id: state.client_id,
    device_id: state.device_id,
    check_name: state.check_name,
    instance: state.instance,
    severity,
    message: flapping ? `flapping: ${state.message}` : state.message,
    fingerprint,
    now,
  });
  note(tx, alert, now, 'opened', `${severity}: ${state.message}`);
  if (flapping) note(tx, alert, now, 'flapping', 'its state changes all the time');
  tell(tx, alert, 'opened');
  return alert.id;
}

function update(
  tx: Statements,
  alert: AlertRow,
  state: StateRow,
  severity: Severity,
  { now, tell, suppressedBy }: SettleContext,
): void {
  const before = alert.severity;
  alert.severity = severity;
  if (state.status !== 'healthy') {
    alert.count += 1;
    alert.last_at = state.at;
    alert.message = state.message;
  }
  const worse = isWorse(severity, before);
  if (worse || isWorse(before, severity)) {
    note(tx, alert, now, worse ? 'worse' : 'better', `${before} to ${severity}: ${state.message}`);
  }
  // Said once what is quiet now is over: in maintenance, behind what is down, or while it flaps.
  const quiet = suppressedBy !== undefined || state.unreachable === 1 || state.flapping === 1;
  const news = !quiet && isWorse(severity, alert.known_severity);
  if (news) {
    if (alert.state !== 'open') {
      note(tx, alert, now, 'reopened', `worse than when it was ${alert.state}`);
      reopen(alert);
    }
    alert.known_severity = severity;
  }
  tx.putAlert(alert);
  if (news) tell(tx, alert, 'worse');
}

/** Takes back an acknowledgement or a snooze. */
export function reopen(alert: AlertRow): void {
  alert.state = 'open';
  alert.until = null;
}

/** Ends an alert, whatever stands in the way of opening one. */
export function resolve(
  tx: Statements,
  alert: AlertRow,
  by: string,
  text: string | null,
  { now, tell }: Pick<SettleContext, 'now' | 'tell'>,
): void {
  alert.state = 'resolved';
  alert.open_key = null;
  alert.until = null;
  alert.resolved_at = now;
  alert.resolved_by = by;
  tx.putAlert(alert);
  tx.addAlertEvent(alert.id, {
    at: now,
    what: 'resolved',
    who: by === 'recovery' ? 'monitor' : by,
    note: text,
  });
  tell(tx, alert, 'resolved');
}
