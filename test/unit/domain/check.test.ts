import { describe, expect, test } from 'vitest';
import { evaluate, type Measurement, summarize, thresholdsSchema, worst } from '../../../src/domain/check.ts';

const thresholds = thresholdsSchema.parse({});

function cpu(value: number | null, status: Measurement['status'] = null): Measurement {
  return {
    check: 'cpu',
    instance: '',
    status,
    value,
    unit: '%',
    message: '',
    at: '2026-01-01T00:00:00.000Z',
  };
}

describe('evaluate', () => {
  test.each([
    [84.9, 'healthy'],
    [85, 'warning'],
    [94.9, 'warning'],
    [95, 'critical'],
    [100, 'critical'],
  ])('cpu at %d %% is %s', (value, status) => {
    expect(evaluate(cpu(value), thresholds)).toEqual({ status, thresholds: { warning: 85, critical: 95 } });
  });

  test.each([null, Number.NaN, Number.POSITIVE_INFINITY])(
    'a value of %s is unknown, never healthy',
    (value) => {
      expect(evaluate(cpu(value), thresholds).status).toBe('unknown');
    },
  );

  test("a probe's own verdict stands", () => {
    expect(evaluate(cpu(1, 'critical'), thresholds)).toEqual({ status: 'critical', thresholds: null });
  });

  test('a value without thresholds and without a verdict is unknown', () => {
    expect(evaluate({ ...cpu(0), check: 'services' }, thresholds).status).toBe('unknown');
  });
});

test('the defaults are cpu 85/95, memory 90/95, disk 85/95', () => {
  expect(thresholds).toEqual({
    cpu: { warning: 85, critical: 95 },
    memory: { warning: 90, critical: 95 },
    disk: { warning: 85, critical: 95 },
  });
});

test('a limit that is left out keeps its default, and both are checked together', () => {
  expect(thresholdsSchema.parse({ cpu: { warning: 10 } }).cpu).toEqual({ warning: 10, critical: 95 });
  expect(thresholdsSchema.safeParse({ cpu: { warning: 96 } }).success).toBe(false);
});

test('thresholds the wrong way round are refused', () => {
  expect(thresholdsSchema.safeParse({ cpu: { warning: 96, critical: 95 } }).success).toBe(false);
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
