import type { z } from 'zod';

/**
 * What kind of mistake an error is. Doors turn it into an exit code or a status; nothing else may depend on
 * the wording of a message.
 */
export type ErrorKind = 'usage' | 'failed' | 'auth' | 'interrupted';

/** Every error code that a user, script or agent can meet, with its kind and whether a later try may succeed. */
export const errorCodes = {
  VALIDATION: { kind: 'usage', retryable: false },
  USAGE: { kind: 'usage', retryable: false },
  CONFIG_INVALID: { kind: 'usage', retryable: false },
  CONFIRMATION_REQUIRED: { kind: 'usage', retryable: false },
  HOME_UNUSABLE: { kind: 'usage', retryable: false },
  HOME_PATH_TOO_LONG: { kind: 'usage', retryable: false },
  CLIENT_NOT_FOUND: { kind: 'failed', retryable: false },
  CLIENT_EXISTS: { kind: 'failed', retryable: false },
  DEVICE_NOT_FOUND: { kind: 'failed', retryable: false },
  DEVICE_EXISTS: { kind: 'failed', retryable: false },
  ALERT_NOT_FOUND: { kind: 'failed', retryable: false },
  ALERT_STATE: { kind: 'failed', retryable: false },
  MAINTENANCE_NOT_FOUND: { kind: 'failed', retryable: false },
  CHANNEL_UNKNOWN: { kind: 'failed', retryable: false },
  CHANNEL_REJECTED: { kind: 'failed', retryable: false },
  CHANNEL_UNAVAILABLE: { kind: 'failed', retryable: true },
  REPORT_NOT_FOUND: { kind: 'failed', retryable: false },
  TEMPLATE_NOT_FOUND: { kind: 'usage', retryable: false },
  TEMPLATE_INVALID: { kind: 'usage', retryable: false },
  JOB_NOT_FOUND: { kind: 'failed', retryable: false },
  JOB_TYPE_UNKNOWN: { kind: 'usage', retryable: false },
  JOB_STATE: { kind: 'failed', retryable: false },
  JOB_FAILED: { kind: 'failed', retryable: false },
  JOB_CANCELLED: { kind: 'failed', retryable: false },
  JOB_TIMEOUT: { kind: 'failed', retryable: true },
  JOB_CRASH_LIMIT: { kind: 'failed', retryable: false },
  PAYLOAD_INVALID: { kind: 'usage', retryable: false },
  WAIT_TIMEOUT: { kind: 'failed', retryable: true },
  SCHEDULE_NOT_FOUND: { kind: 'failed', retryable: false },
  SCHEDULE_EXISTS: { kind: 'failed', retryable: false },
  SCHEDULE_INVALID: { kind: 'usage', retryable: false },
  SCHEDULE_FIXED: { kind: 'failed', retryable: false },
  DATABASE_NEWER: { kind: 'failed', retryable: false },
  DATABASE_UNUSABLE: { kind: 'failed', retryable: true },
  DISK_FULL: { kind: 'failed', retryable: true },
  REDIS_MISSING: { kind: 'failed', retryable: false },
  REDIS_UNAVAILABLE: { kind: 'failed', retryable: true },
  REDIS_FULL: { kind: 'failed', retryable: true },
  REDIS_SOCKET_IN_USE: { kind: 'failed', retryable: false },
  REDIS_UNSAFE: { kind: 'usage', retryable: false },
  REDIS_FOREIGN: { kind: 'usage', retryable: false },
  PORT_IN_USE: { kind: 'usage', retryable: false },
  BROWSER_MISSING: { kind: 'failed', retryable: false },
  BROWSER_FAILED: { kind: 'failed', retryable: true },
  MAIL_NOT_CONFIGURED: { kind: 'usage', retryable: false },
  MAIL_UNAVAILABLE: { kind: 'failed', retryable: true },
  MAIL_REJECTED: { kind: 'failed', retryable: false },
  MAIL_AUTH: { kind: 'auth', retryable: false },
  MAIL_UNCERTAIN: { kind: 'failed', retryable: false },
  CREDENTIAL_STORE: { kind: 'failed', retryable: false },
  CREDENTIAL_FILE_EXPOSED: { kind: 'auth', retryable: false },
  BUSY: { kind: 'failed', retryable: true },
  UNSUPPORTED: { kind: 'failed', retryable: false },
  INTERRUPTED: { kind: 'interrupted', retryable: false },
  INTERNAL: { kind: 'failed', retryable: true },
} as const satisfies Record<string, { kind: ErrorKind; retryable: boolean }>;

export type ErrorCode = keyof typeof errorCodes;

/** The JSON form of an error, the same from every door. */
export interface ErrorShape {
  code: ErrorCode;
  message: string;
  details: Record<string, unknown>;
  hint?: string;
}

/**
 * The one error class of the product: `message` says what happened in one sentence, `hint` what to do next.
 */
export class DomainError extends Error {
  readonly code: ErrorCode;
  readonly details: Record<string, unknown>;
  readonly hint: string | undefined;

  constructor(
    code: ErrorCode,
    message: string,
    options: { details?: Record<string, unknown>; hint?: string; cause?: unknown } = {},
  ) {
    super(message, { cause: options.cause });
    this.name = 'DomainError';
    this.code = code;
    this.details = options.details ?? {};
    this.hint = options.hint;
  }

  get kind(): ErrorKind {
    return errorCodes[this.code].kind;
  }

  /** Whether trying the same again later may succeed. Jobs stop at once when it may not. */
  get retryable(): boolean {
    return errorCodes[this.code].retryable;
  }

  toJSON(): ErrorShape {
    return {
      code: this.code,
      message: this.message,
      details: this.details,
      ...(this.hint ? { hint: this.hint } : {}),
    };
  }

  static fromJSON(shape: ErrorShape): DomainError {
    return new DomainError(shape.code, shape.message, {
      details: shape.details,
      ...(shape.hint ? { hint: shape.hint } : {}),
    });
  }
}

function systemCode(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}

/** Turns whatever was thrown into a DomainError; an unforeseen one becomes INTERNAL and keeps its cause. */
export function toDomainError(error: unknown): DomainError {
  if (error instanceof DomainError) return error;
  const code = systemCode(error);
  const message = error instanceof Error ? error.message : String(error);
  if (code === 'ENOSPC' || code === 'EDQUOT' || code === 'SQLITE_FULL') {
    return new DomainError('DISK_FULL', 'There is no space left on the disk.', {
      hint: 'Free some space; work that was queued goes on by itself.',
      cause: error,
    });
  }
  if (code?.startsWith('SQLITE_')) {
    return new DomainError('DATABASE_UNUSABLE', `The database could not be used: ${message}.`, {
      hint: 'Run: msp-toolkit doctor',
      details: { sqlite: code },
      cause: error,
    });
  }
  return new DomainError('INTERNAL', message || 'Something unforeseen happened.', { cause: error });
}

/**
 * Parses `value` with `schema`, or throws a DomainError that names every offending field.
 *
 * @param what how the message calls the value, such as "client" or "payload of health.check"
 */
export function parseWith<S extends z.ZodType>(
  schema: S,
  value: unknown,
  what: string,
  code: ErrorCode = 'VALIDATION',
): z.infer<S> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map((issue) => ({
    field: issue.path.join('.'),
    problem: issue.message,
  }));
  const list = problems.map((p) => (p.field ? `${p.field}: ${p.problem}` : p.problem)).join('; ');
  throw new DomainError(code, `The ${what} is not valid: ${list}.`, { details: { problems } });
}

type Defined<T> = { [K in keyof T]?: Exclude<T[K], undefined> };

/** Parses a set of changes in which every field may be left out, but not all of them. */
export function parseChanges<S extends z.ZodType>(schema: S, value: unknown): Defined<z.infer<S>> {
  const parsed = parseWith(schema, value, 'change') as Record<string, unknown>;
  const given = Object.entries(parsed).filter(([, field]) => field !== undefined);
  if (given.length === 0) {
    throw new DomainError('USAGE', 'Nothing to change was given.', {
      hint: 'Name at least one field; --help lists them.',
    });
  }
  return Object.fromEntries(given) as Defined<z.infer<S>>;
}
