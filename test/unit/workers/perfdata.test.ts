import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parsePing } from '../../../src/workers/probes/echo.ts';
import { parsePluginOutput } from '../../../src/workers/probes/perfdata.ts';
import { parseApt } from '../../../src/workers/probes/updates.ts';

describe('performance data', () => {
  test('of the guidelines is read with units, after the text and after the long text', () => {
    const found = parsePluginOutput(
      "DISK OK - free space: / 3326 MB (56%); | /=2643MB;5948;5958;0;5968\n/ 15272 MB (77%);\n/boot 68 MB (69%) | /boot=68MB;88;93;0;98\n'/home dir'=69357MB;253404;253409;0;253414",
    );
    expect(found.text).toBe('DISK OK - free space: / 3326 MB (56%);');
    expect(found.values).toEqual([
      { name: '/', value: 2643, unit: 'MB' },
      { name: '/boot', value: 68, unit: 'MB' },
      { name: '/home dir', value: 69_357, unit: 'MB' },
    ]);
    expect(found.unread).toBe(0);
  });

  test('knows quotes in labels, U for no value, and values without a unit', () => {
    const { values } = parsePluginOutput("x | 'it''s'=1 rta=U;1;2 users=3;5;10;0 load=.5 neg=-1e3s");
    expect(values).toEqual([
      { name: "it's", value: 1, unit: null },
      { name: 'rta', value: null, unit: null },
      { name: 'users', value: 3, unit: null },
      { name: 'load', value: 0.5, unit: null },
      { name: 'neg', value: -1000, unit: 's' },
    ]);
  });

  test.each([
    ['x | =5', 1],
    ['x | a=', 1],
    ['x | a=b', 1],
    ['x | a', 1],
    ["x | 'a=1", 1],
    ['x | a=1,5', 1],
    ['x | a=1;;;;;;;', 0],
    ['x | a=0x10', 1],
    ['x | a=NaN b=Infinity', 2],
    ['x | a=1 a=2', 1],
    ['x || a=1', 1],
    ['x |', 0],
    ['', 0],
  ])('%j leaves %d pieces unread and spoils nothing else', (output, unread) => {
    const found = parsePluginOutput(`${output} good=7`.replace('x | |', 'x |'));
    expect(found.unread).toBe(unread);
    expect(found.values.some((v) => v.name === 'good' && v.value === 7)).toBe(output.includes('|'));
  });

  test('tells which values lie outside of the ranges that come with them', () => {
    expect(parsePluginOutput('x | a=5;4;9 b=5;10:;20: c=5;@1:9 d=5;10;20 e=5;x;y').breached).toEqual([
      'a',
      'b',
      'c',
    ]);
  });

  test('of any kind is read without throwing, in bounded number', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 500 }), (text) => {
        const found = parsePluginOutput(`${text}|${text}`);
        expect(found.values.length).toBeLessThanOrEqual(100);
        // eslint-disable-next-line no-control-regex -- that is what must not be there
        expect(found.text).not.toMatch(/[\u0000-\u0008\u001b]/);
      }),
    );
  });
});

test.each([
  [
    '4 packets transmitted, 3 received, 25% packet loss, time 612ms\nrtt min/avg/max/mdev = 0.035/0.042/0.051/0.006 ms',
    { sent: 4, loss: 25, latency: 0.042 },
  ],
  [
    '2 packets transmitted, 2 packets received, 0.0% packet loss\nround-trip min/avg/max/stddev = 0.045/0.070/0.095/0.025 ms',
    { sent: 2, loss: 0, latency: 0.07 },
  ],
  [
    'Packets: Sent = 4, Received = 4, Lost = 0 (0% loss),\nMinimum = 1ms, Maximum = 3ms, Average = 2ms',
    { sent: 4, loss: 0, latency: 2 },
  ],
  ['3 packets transmitted, 0 received, +3 errors, 100% packet loss', { sent: 3, loss: 100, latency: null }],
])('the end of what ping prints is read on every system', (output, found) => {
  expect(parsePing(output)).toEqual(found);
});

test('apt tells security updates by where they come from', () => {
  const output = [
    'Inst libssl3 [3.0.15-1] (3.0.16-1 Debian-Security:12/stable-security [amd64])',
    'Inst tzdata [2024a] (2025b Debian:12.11/stable [all])',
    'Inst curl [7.81] (7.82 Ubuntu:22.04/jammy-updates, Ubuntu:22.04/jammy-security [amd64])',
    'Conf libssl3 (3.0.16-1 Debian-Security:12/stable-security [amd64])',
  ].join('\n');
  expect(parseApt(output)).toEqual({ all: ['libssl3', 'tzdata', 'curl'], security: ['libssl3', 'curl'] });
});
