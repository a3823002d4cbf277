import { describe, expect, test } from 'vitest';
import { assertDependencies, behindDown, parentsFirst } from '../../../../src/domain/check/dependencies.ts';

const device = (name: string, ...dependsOn: string[]) => ({
  id: `id-${name}`,
  name,
  metadata: dependsOn.length > 0 ? { dependsOn } : {},
});
const site = [
  device('pc', 'switch'),
  device('switch', 'Gateway'),
  device('gateway'),
  device('camera', 'id-gateway', 'switch'),
];

describe('a device behind one that is down', () => {
  test('is cut off, however many steps away, by name or id', () => {
    const isCut = behindDown(site, (id) => id === 'id-gateway');
    expect(site.map(({ id }) => isCut(id))).toEqual([true, true, false, true]);
  });

  test('is not cut off when what is down is beside it', () => {
    const isCut = behindDown(site, (id) => id === 'id-pc');
    expect(site.map(({ id }) => isCut(id))).toEqual([false, false, false, false]);
  });

  test('is found in the end where devices depend on each other in a ring', () => {
    const ring = [device('a', 'b'), device('b', 'a')];
    expect(behindDown(ring, () => false)('id-a')).toBe(false);
    expect(
      parentsFirst(
        ring.map((d) => ({ device: d })),
        ring,
      ),
    ).toHaveLength(2);
  });
});

test('what others depend on comes first', () => {
  const order = parentsFirst(
    site.map((d) => ({ device: d })),
    site,
  ).map((a) => a.device.name);
  expect(order).toEqual(['gateway', 'switch', 'pc', 'camera']);
});

test.each([
  [device('x', 'nobody'), 'no other device of that name'],
  [device('x', 'x'), 'no other device of that name'],
  [device('gateway', 'pc'), 'depend on itself'],
])('a dependency that can not be right is refused', (wrong, words) => {
  const others = site.filter(({ id }) => id !== wrong.id);
  expect(() => assertDependencies(others, wrong)).toThrow(words);
});
