import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { DomainError, parseChanges, parseWith, toDomainError } from '../../../src/domain/errors.ts';

function withCode(code: string): Error {
  return Object.assign(new Error('from below'), { code });
}

describe('toDomainError', () => {
  test('leaves a DomainError as it is', () => {
    const error = new DomainError('CLIENT_NOT_FOUND', 'none');
    expect(toDomainError(error)).toBe(error);
  });

  test.each(['ENOSPC', 'EDQUOT', 'SQLITE_FULL'])(
    'calls %s a full disk, which a later try may survive',
    (code) => {
      const error = toDomainError(withCode(code));
      expect(error.code).toBe('DISK_FULL');
      expect(error.retryable).toBe(true);
    },
  );

  test('calls other SQLite trouble an unusable database and keeps the cause', () => {
    const cause = withCode('SQLITE_READONLY');
    const error = toDomainError(cause);
    expect(error).toMatchObject({ code: 'DATABASE_UNUSABLE', details: { sqlite: 'SQLITE_READONLY' }, cause });
  });

  test('turns anything else into INTERNAL', () => {
    expect(toDomainError('text')).toMatchObject({ code: 'INTERNAL', message: 'text' });
  });
});

describe('parseWith', () => {
  const schema = z.strictObject({ name: z.string(), age: z.number() });

  test('names every offending field at once', () => {
    const parse = () => parseWith(schema, { name: 1, age: 'x', extra: true }, 'person');
    expect(parse).toThrow(/name: .*; age: .*extra/);
  });

  test('uses the code it is given', () => {
    expect(() => parseWith(schema, {}, 'payload', 'PAYLOAD_INVALID')).toThrow(
      expect.objectContaining({ code: 'PAYLOAD_INVALID', kind: 'usage' }),
    );
  });
});

test('parseChanges refuses an empty change and drops what is undefined', () => {
  const schema = z.strictObject({ a: z.string(), b: z.string() }).partial();
  expect(() => parseChanges(schema, {})).toThrow(expect.objectContaining({ code: 'USAGE' }));
  expect(parseChanges(schema, { a: 'x', b: undefined })).toEqual({ a: 'x' });
});

test('an error survives its JSON form', () => {
  const error = new DomainError('MAIL_AUTH', 'no', { details: { a: 1 }, hint: 'do this' });
  expect(DomainError.fromJSON(error.toJSON()).toJSON()).toEqual(error.toJSON());
});
