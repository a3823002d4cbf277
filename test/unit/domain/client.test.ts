import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  clientIdSchema,
  clientInputSchema,
  nameSchema,
  slugOf,
  timezoneSchema,
} from '../../../src/domain/client.ts';

describe('a name', () => {
  test.each(['<', '>', '&', ';', '|', '`', '$', '\n', '\u0000'])('may not contain %j', (bad) => {
    expect(nameSchema.safeParse(`Acme${bad}Corp`).success).toBe(false);
  });

  test('may have 1 to 255 characters', () => {
    expect(nameSchema.safeParse('').success).toBe(false);
    expect(nameSchema.safeParse('   ').success).toBe(false);
    expect(nameSchema.safeParse('x'.repeat(255)).success).toBe(true);
    expect(nameSchema.safeParse('x'.repeat(256)).success).toBe(false);
  });

  test('may be in any script', () => {
    expect(nameSchema.parse("Müller, Søn - O'Neill (山田)")).toBe("Müller, Søn - O'Neill (山田)");
  });
});

describe('slugOf', () => {
  test.each([
    ['Acme Corp', 'acme-corp'],
    ['  Ärzte, Co.  ', 'arzte-co'],
    ['--x--', 'x'],
    ['山田', ''],
  ])('%j becomes %j', (name, slug) => {
    expect(slugOf(name)).toBe(slug);
  });

  test('gives an id that is valid, or nothing', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 300 }), (name) => {
        const slug = slugOf(name);
        return slug === '' || clientIdSchema.safeParse(slug).success;
      }),
    );
  });
});

test.each(['Europe/Berlin', 'UTC', 'America/New_York'])('%s is a timezone', (zone) => {
  expect(timezoneSchema.safeParse(zone).success).toBe(true);
});

test.each(['Mars/Olympus', '', 'Berlin'])('%j is no timezone', (zone) => {
  expect(timezoneSchema.safeParse(zone).success).toBe(false);
});

test.each([
  [{ name: 'A', tier: 'platinum' }, 'tier'],
  [{ name: 'A', contactEmail: 'not-an-address' }, 'contactEmail'],
  [{ name: 'A', id: 'No Spaces' }, 'id'],
])('the client %j is refused', (input, field) => {
  const parsed = clientInputSchema.safeParse(input);
  expect(parsed.success).toBe(false);
  expect(parsed.error?.issues[0]?.path).toEqual([field]);
});

test('a field that no client has is refused', () => {
  expect(clientInputSchema.safeParse({ name: 'A', unknown: 1 }).success).toBe(false);
});
