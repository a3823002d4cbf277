import { describe, expect, test } from 'vitest';
import { type Status, summarize, worst } from '../../../../src/domain/check/check.ts';
import {
  assertThresholds,
  effectiveThresholds,
  judge,
  type ThresholdSettings,
  withLevel,
} from '../../../../src/domain/check/thresholds.ts';
import { catalogue } from '../../../../src/workers/probes/index.ts';

const limits = (settings: ThresholdSettings = {}) =>
  effectiveThresholds(catalogue, [{ from: 'test', settings }]);

function statusOf(
  check: string,
  values: Record<string, number | null>,
  options: { verdict?: Status; settings?: ThresholdSettings; before?: Status } = {},
) {
  const all = Object.entries(values).map(([name, value]) => ({ name, value, unit: null }));
  return judge(
    { check, status: options.verdict ?? null, values: all },
    limits(options.settings),
    options.before,
  ).status;
}

describe('a value', () => {
  test.each([
    [84.9, 'healthy'],
    [85, 'warning'],
    [94.9, 'warning'],
    [95, 'critical'],
    [100, 'critical'],
  ])('cpu at %d %% is %s', (value, status) => {
    expect(statusOf('cpu', { usage: value })).toBe(status);
  });

  test('that ought not to fall is judged from below', () => {
    expect(statusOf('tls', { days: 31 }, { verdict: 'healthy' })).toBe('healthy');
    expect(statusOf('tls', { days: 30 }, { verdict: 'healthy' })).toBe('warning');
    expect(statusOf('tls', { days: 7 }, { verdict: 'healthy' })).toBe('critical');
  });

  test.each([null, Number.NaN, Number.POSITIVE_INFINITY])('of %s is unknown, never healthy', (value) => {
    expect(statusOf('cpu', { usage: value })).toBe('unknown');
  });

  test('that is missing is not made up for by another one that is fine', () => {
    expect(statusOf('disk', { used: null, inodes: 10 })).toBe('unknown');
    expect(statusOf('disk', { used: null, inodes: 99 })).toBe('critical');
  });

  test('beside the main one makes the result worse by limits of its own', () => {
    expect(statusOf('disk', { used: 10, inodes: 96 })).toBe('critical');
    expect(statusOf('disk', { used: 10, inodes: 10, days: 2 })).toBe('critical');
    expect(statusOf('disk', { used: 10, inodes: 10, days: null })).toBe('healthy');
  });

  test('may be judged by a range in the notation of plugins', () => {
    const settings = { 'cpu.load': { warning: '0.1:2', critical: '~:4' } };
    expect(statusOf('cpu', { usage: 1, load: 1 }, { settings })).toBe('healthy');
    expect(statusOf('cpu', { usage: 1, load: 0 }, { settings })).toBe('warning');
    expect(statusOf('cpu', { usage: 1, load: 5 }, { settings })).toBe('critical');
  });

  test('without limits is healthy when it is there', () => {
    const settings = { cpu: { warning: null, critical: null } };
    expect(statusOf('cpu', { usage: 100 }, { settings })).toBe('healthy');
  });
});

describe("a check's own verdict", () => {
  test('can be made worse by a threshold, not better', () => {
    expect(statusOf('http', { latency: 9000 }, { verdict: 'healthy' })).toBe('critical');
    expect(statusOf('http', { latency: 1 }, { verdict: 'critical' })).toBe('critical');
    expect(statusOf('http', { latency: 4000 }, { verdict: 'critical' })).toBe('critical');
  });

  test('of unknown stays unknown whatever the values say', () => {
    expect(statusOf('cpu', { usage: 99 }, { verdict: 'unknown' })).toBe('unknown');
  });
});

describe('hysteresis', () => {
  const settings = { cpu: { hysteresis: 5 } };
  test('keeps a status until the value is that far behind its limit', () => {
    expect(statusOf('cpu', { usage: 84 }, { settings })).toBe('healthy');
    expect(statusOf('cpu', { usage: 84 }, { settings, before: 'warning' })).toBe('warning');
    expect(statusOf('cpu', { usage: 80 }, { settings, before: 'warning' })).toBe('warning');
    expect(statusOf('cpu', { usage: 79.9 }, { settings, before: 'warning' })).toBe('healthy');
    expect(statusOf('cpu', { usage: 91 }, { settings, before: 'critical' })).toBe('critical');
    expect(statusOf('cpu', { usage: 89 }, { settings, before: 'critical' })).toBe('warning');
  });

  test('does not bring a status about', () => {
    expect(statusOf('cpu', { usage: 91 }, { settings, before: 'warning' })).toBe('warning');
  });
});

describe('levels', () => {
  test('the nearest wins, limit by limit, and says where it comes from', () => {
    const all = effectiveThresholds(catalogue, [
      { from: 'configuration', settings: { cpu: { warning: 50, critical: 60 } } },
      { from: 'tier gold', settings: { cpu: { warning: 40 } } },
      { from: 'client acme', settings: undefined },
    ]);
    expect(all.get('cpu')).toMatchObject({
      warning: 40,
      warningFrom: 'tier gold',
      critical: 60,
      criticalFrom: 'configuration',
    });
    expect(all.get('memory')).toMatchObject({ warning: 90, warningFrom: 'default' });
    const device = withLevel(all, { from: 'device srv', settings: { cpu: { critical: null } } });
    expect(device.get('cpu')).toMatchObject({ critical: null, criticalFrom: 'device srv', warning: 40 });
    expect(all.get('cpu')?.critical).toBe(60);
  });

  test.each([
    [{ cpu: { warning: 96, critical: 95 } }, 'warning must not be above critical'],
    [{ cpu: { warning: 96 } }, 'cpu: warning 96 (given here) must not be above critical 95 (default)'],
    [{ 'disk.days': { warning: 1 } }, 'must not be below critical 3'],
    [{ gpu: { warning: 1 } }, 'gpu'],
    [{ cpu: { warning: '20:10' } }, 'range'],
  ])('%j is refused', (settings, words) => {
    expect(() => assertThresholds(catalogue, [], settings)).toThrow(words);
  });

  test('a limit may be set for whatever a plugin answers with', () => {
    expect(() => assertThresholds(catalogue, [], { 'plugin.users': { warning: 5 } })).not.toThrow();
  });
});

test('the defaults are cpu 85/95, memory 90/95, disk 85/95', () => {
  const all = effectiveThresholds(catalogue, []);
  const of = (key: string) => [all.get(key)?.warning, all.get(key)?.critical];
  expect([of('cpu'), of('memory'), of('disk')]).toEqual([
    [85, 95],
    [90, 95],
    [85, 95],
  ]);
});

test('no default is the wrong way round', () => {
  expect(() => assertThresholds(catalogue, [], {})).not.toThrow();
});

test('the worst of nothing is unknown', () => {
  expect(worst([])).toBe('unknown');
});

test('unknown is worse than healthy and better than warning', () => {
  expect(worst(['healthy', 'unknown'])).toBe('unknown');
  expect(worst(['unknown', 'warning'])).toBe('warning');
  expect(worst(['warning', 'critical', 'healthy'])).toBe('critical');
});

test('a summary adds up', () => {
  const summary = summarize(['healthy', 'healthy', 'warning', 'unknown']);
  expect(summary).toEqual({ total: 4, healthy: 2, warning: 1, critical: 0, unknown: 1 });
});
