import type { CheckValue } from '../../domain/check/check.ts';
import { isBreached, parseRange } from '../../domain/check/range.ts';

export interface PluginOutput {
  /** The first line, without performance data. */
  text: string;
  values: CheckValue[];
  /** Values that lie outside of the ranges the plugin itself gives with them. */
  breached: string[];
  /** Pieces of performance data that could not be read. */
  unread: number;
}

/** Values that one plugin may bring. */
const mostValues = 100;

const piece = /^\s*(?:'((?:[^']|'')*)'|([^\s'=]+))=(\S*)\s*/;
const measured = /^([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?|U)([a-zA-Z%µ]*)$/;

// eslint-disable-next-line no-control-regex -- what a plugin prints is shown in terminals and mails
const control = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\ufffd]/g;

/**
 * Reads what a monitoring plugin printed: text, then performance data after `|`, on the first line and again after the
 * long text. What is malformed is left out and counted; it spoils nothing beside it.
 *
 * Source: https://www.monitoring-plugins.org/doc/guidelines.html, "Performance data".
 */
export function parsePluginOutput(output: string): PluginOutput {
  const lines = output.split(/\r?\n/);
  const [first = '', ...rest] = lines;
  const [text = '', ...perf] = first.split('|');
  const long = rest.join('\n');
  const cut = long.indexOf('|');
  const data = [perf.join('|'), ...(cut < 0 ? [] : [long.slice(cut + 1).replaceAll('\n', ' ')])].join(' ');
  const parsed: PluginOutput = {
    text: text.replaceAll('\t', ' ').replace(control, '').trim().slice(0, 1000),
    values: [],
    breached: [],
    unread: 0,
  };
  let left = data.trim();
  while (left !== '') {
    const match = piece.exec(left);
    if (!match) {
      parsed.unread += 1;
      left = left.replace(/^\S+\s*/, '');
      continue;
    }
    left = left.slice(match[0].length);
    const label = (match[1]?.replaceAll("''", "'") ?? match[2] ?? '').replace(control, '').slice(0, 100);
    add(parsed, label, match[3] ?? '');
  }
  return parsed;
}

function add(parsed: PluginOutput, label: string, rest: string): void {
  const [value = '', warning = '', critical = ''] = rest.split(';');
  const match = measured.exec(value);
  if (
    !match ||
    label === '' ||
    parsed.values.length >= mostValues ||
    parsed.values.some((v) => v.name === label)
  ) {
    parsed.unread += 1;
    return;
  }
  // `U` says that the value could not be determined.
  const n = match[1] === 'U' ? null : Number(match[1]);
  const usable = n !== null && Number.isFinite(n) ? n : null;
  parsed.values.push({ name: label, value: usable, unit: match[2] || null });
  if (usable === null) return;
  for (const limit of [warning, critical]) {
    const range = limit === '' ? undefined : parseRange(limit);
    if (range && isBreached(range, usable)) {
      parsed.breached.push(label);
      return;
    }
  }
}
