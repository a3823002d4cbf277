import { type Alert, isWorse, type Severity } from './alert.ts';
import type { AlertEventName } from './settle.ts';

/** One event of one alert, with the names that people know things by. */
export interface AlertItem {
  event: AlertEventName;
  alert: Alert;
  clientName: string;
  deviceName: string;
}

/** What a channel is given to tell: everything that came up in a while, as one message. */
export interface AlertMessage {
  /** The same at every try. */
  id: string;
  company: string;
  subject: string;
  items: AlertItem[];
}

/** Items that a message shows one by one; of the rest it gives the number. */
export const shownItems = 20;

const words: Record<AlertEventName, string> = {
  opened: 'new',
  worse: 'worse',
  reminder: 'still open',
  escalated: 'nobody has taken it up',
  resolved: 'resolved',
};

/** What is bad first; within that by client and device. */
function inOrder(items: readonly AlertItem[]): AlertItem[] {
  const rank = (item: AlertItem) =>
    item.event === 'resolved'
      ? 3
      : item.alert.severity === 'critical'
        ? 0
        : item.alert.severity === 'warning'
          ? 1
          : 2;
  return items.toSorted(
    (a, b) =>
      rank(a) - rank(b) ||
      a.clientName.localeCompare(b.clientName) ||
      a.deviceName.localeCompare(b.deviceName) ||
      a.alert.check.localeCompare(b.alert.check),
  );
}

/** `web-1 disk /data` */
export function thingOf({ alert, deviceName }: AlertItem): string {
  return `${deviceName} ${alert.check}${alert.instance ? ` ${alert.instance}` : ''}`;
}

/** One line that says it all: `CRITICAL Acme Corp: web-1 disk /data (new): 97 % in use`. */
export function itemLine(item: AlertItem): string {
  const label = item.event === 'resolved' ? 'RESOLVED' : item.alert.severity.toUpperCase();
  const word = item.event === 'resolved' ? '' : ` (${words[item.event]})`;
  return `${label} ${item.clientName}: ${thingOf(item)}${word}: ${item.alert.message}`;
}

/** The worst severity of what is not resolved; undefined where all of it is. */
export function worstOf(items: readonly AlertItem[]): Severity | undefined {
  return items
    .filter((item) => item.event !== 'resolved')
    .map((item) => item.alert.severity)
    .reduce<Severity | undefined>((a, b) => (a === undefined || isWorse(b, a) ? b : a), undefined);
}

/** Puts items into one message with a subject that fits one or many. */
export function messageOf(id: string, company: string, items: readonly AlertItem[]): AlertMessage {
  const sorted = inOrder(items);
  const [first] = sorted;
  const problems = sorted.filter((item) => item.event !== 'resolved').length;
  const clients = new Set(sorted.map((item) => item.alert.clientId)).size;
  const parts = [
    ...(problems > 0 ? [`${problems} alert${problems === 1 ? '' : 's'}`] : []),
    ...(problems < sorted.length ? [`${sorted.length - problems} resolved`] : []),
  ];
  const subject =
    first && sorted.length === 1
      ? itemLine(first)
      : `${worstOf(sorted)?.toUpperCase() ?? 'RESOLVED'} ${parts.join(', ')} at ${clients === 1 ? (first?.clientName ?? '') : `${clients} clients`}`;
  return { id, company, subject, items: sorted };
}
