/** What the product logs through: structured fields first, then a sentence, as pino has it. */
export interface Log {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** For library users and tests that want no log. */
export const silentLog: Log = { debug() {}, info() {}, warn() {}, error() {} };
