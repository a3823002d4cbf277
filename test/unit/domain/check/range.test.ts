import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isBreached, parseRange } from '../../../../src/domain/check/range.ts';

const breached = (range: string, value: number) => {
  const parsed = parseRange(range);
  if (!parsed) throw new Error(`${range} is no range`);
  return isBreached(parsed, value);
};

describe("the guidelines' own examples", () => {
  test.each([
    ['10', [-1, 10.1], [0, 10]],
    ['10:', [9.9], [10, 1e9]],
    ['~:10', [10.1], [-1e9, 10]],
    ['10:20', [9.9, 20.1], [10, 20]],
    ['@10:20', [10, 15, 20], [9.9, 20.1]],
  ])('%s', (range, alerts, quiet) => {
    for (const value of alerts) expect(breached(range, value)).toBe(true);
    for (const value of quiet) expect(breached(range, value)).toBe(false);
  });
});

test.each(['-10:-5', '.5', '1e3', '0:', '~:0', '@-1.5:+2'])('%s is a range', (text) => {
  expect(parseRange(text)).toBeDefined();
});

test.each(['', '@', 'x', '10:x', '20:10', '1:2:3', '10 20', '~10', '1,5'])('%j is none', (text) => {
  expect(parseRange(text)).toBeUndefined();
});

test('no text makes it throw', () => {
  fc.assert(fc.property(fc.string(), (text) => void parseRange(text)));
});
