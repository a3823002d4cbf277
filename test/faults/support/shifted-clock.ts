import { readFileSync } from 'node:fs';

// Every clock of this process, those of its libraries included, is off by what a file says, in ms.
const file = process.env['CLOCK_FILE'] ?? '';
const RealDate = Date;
const read = () => Number(readFileSync(file, 'utf8')) || 0;
let offset = read();
setInterval(() => {
  offset = read();
}, 10).unref();

globalThis.Date = class extends RealDate {
  constructor(...values: unknown[]) {
    if (values.length === 0) super(RealDate.now() + offset);
    else super(...(values as [number]));
  }

  static override now(): number {
    return RealDate.now() + offset;
  }
} as DateConstructor;
