import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { mask, maskText } from '../../../src/domain/mask.ts';

const secret = 'hunter2-S3cret!';

describe('a text', () => {
  test.each([
    `redis://:${secret}@cache.example:6379/0`,
    `postgres://anna:${secret}@db/app`,
    `connecting to smtps://user%40x:${secret}@mail failed`,
    'Authorization: Bearer hunter2-S3cret',
    `password=${secret}`,
    `api_key: "${secret}"`,
    `RMM_API_KEY=${secret}`,
    `token='${secret}'`,
    `{"password":"${secret}"}`,
    `{\\"apiKey\\":\\"${secret}\\"}`,
    `passphrase=${secret}`,
    'redis://:hunter1@hunter2@host:6379',
  ])('loses its secret: %s', (text) => {
    expect(maskText(text)).not.toContain('hunter2');
  });

  test.each([
    'https://example.com/path:with@at',
    'user@example.com',
    'the token expired',
    'http://host:8080/x',
  ])('without a secret stays as it is: %s', (text) => {
    expect(maskText(text)).toBe(text);
  });
});

describe('fields', () => {
  test.each([
    'password',
    'smtpPassword',
    'apiKey',
    'API_KEY',
    'authorization',
    'clientSecret',
    'accessToken',
    'cookie',
  ])('%s is hidden at any depth', (name) => {
    const masked = JSON.stringify(mask({ a: [{ b: { [name]: secret } }] }));
    expect(masked).not.toContain('hunter2');
    expect(masked).toContain(name);
  });

  test('of an error and of its cause are hidden, and it keeps its message', () => {
    const error = new Error(`no redis://:${secret}@x`, { cause: new Error(`password=${secret}`) });
    const masked = mask(Object.assign(error, { token: secret }));
    expect(JSON.stringify(masked)).not.toContain('hunter2');
    expect(masked).toMatchObject({ message: 'no redis://:***@x' });
  });

  test('of a Redis command in an error are hidden', () => {
    const error = Object.assign(new Error('WRONGPASS'), {
      command: { name: 'hello', args: ['3', 'AUTH', 'default', secret] },
    });
    expect(JSON.stringify(mask({ err: error }))).not.toContain('hunter2');
  });

  test('a ring does not hang it', () => {
    const ring: Record<string, unknown> = {};
    ring['self'] = ring;
    expect(JSON.stringify(mask(ring))).toContain('too deep');
  });

  test('what is no secret comes through unchanged', () => {
    fc.assert(
      fc.property(
        fc.record({
          count: fc.integer(),
          name: fc.stringMatching(/^[a-z ]*$/),
          list: fc.array(fc.boolean()),
        }),
        (value) => {
          expect(mask(value)).toEqual(value);
        },
      ),
    );
  });
});
