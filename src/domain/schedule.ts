import { z } from 'zod';
import { timezoneSchema } from './client.ts';

/** A recurring job: at each time that `cron` names in `timezone`, a job of `jobType` is asked for with `payload`. */
export const scheduleSchema = z.strictObject({
  name: z.string().regex(/^[a-z0-9-]{1,100}$/, 'must be 1 to 100 characters of a-z, 0-9 and -'),
  cron: z.string().describe('As croner reads it: five fields, or six with seconds; L and # too.'),
  timezone: timezoneSchema.default('UTC'),
  jobType: z.string().describe('Such as health.check or report.generate.'),
  payload: z.record(z.string(), z.unknown()).default({}),
});
export type Schedule = z.infer<typeof scheduleSchema>;
