import { z } from 'zod';

export const weekdays = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'] as const;

const spanSchema = z
  .string()
  .regex(/^([01]\d|2[0-3]):[0-5]\d-(([01]\d|2[0-3]):[0-5]\d|24:00)$/, 'must be such as 08:00-18:00');

/**
 * When somebody is there to act: for each day of the week the hours, in the client's timezone; a day that is left out has
 * none. Hours that end before they begin go on into the next day. `outside` says what is told at once outside of them;
 * the rest waits for the next opening.
 */
export const businessHoursSchema = z
  .strictObject({
    ...(Object.fromEntries(weekdays.map((day) => [day, z.array(spanSchema).max(8).optional()])) as Record<
      (typeof weekdays)[number],
      z.ZodOptional<z.ZodArray<typeof spanSchema>>
    >),
    outside: z.enum(['all', 'critical', 'nothing']).default('critical'),
  })
  .refine((hours) => weekdays.some((day) => (hours[day]?.length ?? 0) > 0), 'must be open at some time');
export type BusinessHours = z.infer<typeof businessHoursSchema>;
