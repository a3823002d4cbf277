import Table from 'cli-table3';

/** What every command gets beside its own options. */
export interface GlobalOptions {
  config?: string;
  json?: boolean;
  quiet?: boolean;
  input?: boolean;
  logLevel?: string;
  logFile?: string;
}

export type Row = readonly (string | number | null | undefined)[];

/** Times for people: local, to the second. */
export function when(iso: string | null | undefined): string {
  if (!iso) return '-';
  const date = new Date(iso);
  const two = (n: number) => String(n).padStart(2, '0');
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  return `${day} ${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}

/** For narrow columns: the time of day today, otherwise the day and the minute. */
export function whenBriefly(iso: string | null | undefined, now: Date = new Date()): string {
  const full = when(iso);
  const today = full.startsWith(when(now.toISOString()).slice(0, 11));
  return today ? full.slice(11) : full.slice(0, 16);
}

/** How long something took, for people. */
export function took(from: string | null, to: string | null): string {
  if (!from || !to) return '-';
  const seconds = (Date.parse(to) - Date.parse(from)) / 1000;
  if (seconds < 100) return `${seconds.toFixed(1)} s`;
  return seconds < 6000 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 3600)} h`;
}

/** Data goes to stdout and everything else to stderr, so that a pipe gets data alone. */
export interface Output {
  readonly json: boolean;
  /** Prints `data` as one JSON document, or `people()` where a person reads. */
  data(data: unknown, people: () => void): void;
  /** A table on a terminal, tab-separated lines elsewhere. */
  table(head: readonly string[], rows: readonly Row[], empty: string): void;
  /** Names and values, one pair a line. */
  record(pairs: readonly (readonly [string, string | number | null | undefined])[]): void;
  line(text: string): void;
  /** For people, on stderr; silent with --quiet. */
  note(text: string): void;
  /** Colour by status, where there is colour. */
  status(text: string): string;
}

const colours: Record<string, string> = {
  healthy: '32',
  succeeded: '32',
  done: '32',
  sent: '32',
  ok: '32',
  active: '32',
  warning: '33',
  skipped: '33',
  running: '36',
  queued: '36',
  pending: '36',
  unknown: '90',
  critical: '31',
  failed: '31',
  dead: '31',
  error: '31',
  cancelled: '90',
};

// eslint-disable-next-line no-control-regex -- a value from outside must not move the cursor or colour the terminal
const control = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g;

function clean(text: string): string {
  return text.replace(control, '\uFFFD');
}

export function createOutput(
  options: GlobalOptions,
  environment: Record<string, string | undefined>,
): Output {
  const json = options.json === true;
  const terminal = process.stdout.isTTY === true;
  const coloured = terminal && !environment['NO_COLOR'] && environment['TERM'] !== 'dumb';
  const write = (text: string) => process.stdout.write(`${text}\n`);
  const status = (text: string) =>
    coloured && colours[text] ? `\u001b[${colours[text]}m${text}\u001b[0m` : text;

  return {
    json,
    status,
    line: (text) => void write(clean(text)),
    note(text) {
      if (!options.quiet && !json) process.stderr.write(`${clean(text)}\n`);
    },
    data(data, people) {
      if (json) write(JSON.stringify(data, null, 2));
      else people();
    },
    table(head, rows, empty) {
      const cells = rows.map((row) => row.map((cell) => clean(String(cell ?? '-')).replaceAll('\n', ' ')));
      if (!terminal) {
        for (const row of cells) write(row.map((cell) => cell.replaceAll('\t', ' ')).join('\t'));
        return;
      }
      if (rows.length === 0) {
        write(empty);
        return;
      }
      const table = new Table({
        head: [...head],
        style: { head: coloured ? ['bold'] : [], border: [], 'padding-left': 0, 'padding-right': 2 },
        chars: {
          top: '',
          'top-mid': '',
          'top-left': '',
          'top-right': '',
          bottom: '',
          'bottom-mid': '',
          'bottom-left': '',
          'bottom-right': '',
          left: '',
          'left-mid': '',
          mid: '',
          'mid-mid': '',
          right: '',
          'right-mid': '',
          middle: '',
        },
      });
      table.push(...cells.map((row) => row.map((cell) => status(cell))));
      write(table.toString().replaceAll(/ +$/gm, ''));
    },
    record(pairs) {
      const width = Math.max(...pairs.map(([name]) => name.length));
      for (const [name, value] of pairs) {
        const text = clean(String(value ?? '-'));
        write(terminal ? `${name.padEnd(width)}  ${status(text)}` : `${name}\t${text}`);
      }
    },
  };
}
