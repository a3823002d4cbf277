import { z } from 'zod';
import { DomainError } from '../errors.ts';
import { checkNameSchema, type Measurement, unmeasured } from './check.ts';
import { type Catalogue, type CheckType, requireCheckType } from './check-type.ts';

/**
 * What is checked on a device, in its metadata: the settings of each check by name, or a list of them where one kind is
 * checked several times over; `false` for one that is not wanted. Where a device names any check, those are all it gets.
 */
export const deviceChecksSchema = z.record(
  checkNameSchema,
  z.union([
    z.literal(false),
    z.record(z.string(), z.unknown()),
    z.array(z.record(z.string(), z.unknown())).min(1).max(50),
  ]),
);
export type DeviceChecks = z.infer<typeof deviceChecksSchema>;

/** One check to be made on a device, with settings that its type has accepted. */
export const plannedCheckSchema = z.object({ check: checkNameSchema, settings: z.unknown() });
export type PlannedCheck = z.infer<typeof plannedCheckSchema>;

/** Settings by check. */
export type CheckSettings = Readonly<Record<string, Readonly<Record<string, unknown>> | undefined>>;

interface Plan {
  planned: PlannedCheck[];
  /** Checks that can't be made as they are set, each with the reason. */
  refused: Measurement[];
}

function listOf(settings: DeviceChecks[string] | undefined): Record<string, unknown>[] {
  if (settings === undefined) return [{}];
  if (settings === false) return [];
  return Array.isArray(settings) ? settings : [settings];
}

/** Whether a check can be made without being told anything. */
function needsSettings(type: CheckType, base: Readonly<Record<string, unknown>> = {}): boolean {
  return !type.settings.safeParse(base).success;
}

/**
 * The checks to be made on a device.
 *
 * @param defaults what devices get that name no checks
 * @param base settings for every device, by check, under its own
 * @param only the checks that were asked for; those a device has no settings for, and that need some, are left out
 */
export function planChecks(
  catalogue: Catalogue,
  own: DeviceChecks | undefined,
  defaults: readonly string[],
  base: CheckSettings,
  only: readonly string[] | undefined,
  at: string,
): Plan {
  const plan: Plan = { planned: [], refused: [] };
  const wanted = own ? Object.keys(own) : defaults;
  for (const name of only ?? wanted) {
    const type = catalogue.find((t) => t.name === name);
    if (!type) {
      plan.refused.push(unmeasured(name, `there is no check "${name}"`, at));
      continue;
    }
    if (only && !own?.[name] && needsSettings(type, base[name])) continue;
    for (const settings of listOf(own?.[name])) {
      const parsed = type.settings.safeParse({ ...base[name], ...settings });
      if (parsed.success) plan.planned.push({ check: name, settings: parsed.data });
      else plan.refused.push(unmeasured(name, `its settings are not valid: ${problemsOf(parsed.error)}`, at));
    }
  }
  return plan;
}

function problemsOf(error: z.ZodError): string {
  return error.issues
    .map((issue) => (issue.path.length > 0 ? `${issue.path.join('.')}: ${issue.message}` : issue.message))
    .join('; ');
}

/** Refuses checks that do not exist or whose settings can't be right. Throws VALIDATION or USAGE. */
export function assertDeviceChecks(
  catalogue: Catalogue,
  checks: DeviceChecks | undefined,
  base: CheckSettings = {},
): void {
  for (const [name, settings] of Object.entries(checks ?? {})) {
    const type = requireCheckType(catalogue, name);
    for (const one of listOf(settings)) {
      const parsed = type.settings.safeParse({ ...base[name], ...one });
      if (parsed.success) continue;
      throw new DomainError(
        'VALIDATION',
        `The settings of the check ${name} are not valid: ${problemsOf(parsed.error)}.`,
        {
          details: { check: name, settings: one },
          hint: `See what there is to set in docs/reference.md, under "${name}".`,
        },
      );
    }
  }
}
