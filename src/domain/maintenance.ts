import { defineEntity, p } from '@mikro-orm/sqlite';
import { v7 as newId } from 'uuid';
import { z } from 'zod';
import { type Actor, recordAudit } from './audit.ts';
import { checkNameSchema } from './check/check.ts';
import { ClientEntity, clientIdSchema, clientNotFound, timezoneSchema } from './client.ts';
import { nowIso } from './clock.ts';
import { DeviceEntity } from './device.ts';
import { DomainError, parseWith } from './errors.ts';
import { cronProblem, nextSlot } from './schedule.ts';
import type { WindowRow } from './storage/maintenance-statements.ts';
import type { Storage } from './storage/storage.ts';

/**
 * A time in which checks go on and alerts are not raised: once, from `from` to `to`, or again and again, from each time
 * that `cron` names for `durationMinutes`. For one device, one client or all; for some checks or all. A window that was
 * removed still counts for the time before.
 */
export const MaintenanceWindowEntity = defineEntity({
  name: 'MaintenanceWindow',
  tableName: 'maintenance_windows',
  properties: {
    id: p.string().primary(),
    client: () => p.manyToOne(ClientEntity).mapToPk().deleteRule('cascade').index(false).nullable(),
    device: () => p.manyToOne(DeviceEntity).mapToPk().deleteRule('cascade').index(false).nullable(),
    checks: p.json<string[]>().nullable(),
    reason: p.string(),
    from: p.string().fieldName('from_at').nullable(),
    to: p.string().fieldName('to_at').nullable(),
    cron: p.string().nullable(),
    durationMinutes: p.integer().nullable(),
    timezone: p.string().nullable(),
    createdBy: p.string(),
    createdAt: p.string(),
    removedAt: p.string().nullable(),
  },
  indexes: [{ properties: ['client'] }],
});

/** The longest a recurring window may last; a longer one would hide its own next start. */
const longestMinutes = 7 * 24 * 60;

export const maintenanceInputSchema = z
  .strictObject({
    clientId: clientIdSchema.optional().describe('Absent: every client.'),
    deviceId: z.string().optional().describe('Absent: every device of the client.'),
    checks: z.array(checkNameSchema).min(1).optional().describe('Absent: every check.'),
    reason: z.string().trim().min(1).max(500),
    from: z.iso.datetime({ offset: true }).optional(),
    to: z.iso.datetime({ offset: true }).optional(),
    cron: z.string().optional(),
    durationMinutes: z.int().min(1).max(longestMinutes).optional(),
    timezone: timezoneSchema.optional().describe("Of the cron; default: the client's, or UTC."),
  })
  .superRefine((w, issue) => {
    const fixed = w.from !== undefined || w.to !== undefined;
    const recurring = w.cron !== undefined || w.durationMinutes !== undefined;
    const wrong = (message: string) => issue.addIssue({ code: 'custom', message, input: w });
    if (fixed === recurring) wrong('give either from and to, or cron and durationMinutes');
    else if (fixed && (w.from === undefined || w.to === undefined)) wrong('from and to belong together');
    else if (recurring && (w.cron === undefined || w.durationMinutes === undefined))
      wrong('cron and durationMinutes belong together');
    else if (w.from !== undefined && w.to !== undefined && Date.parse(w.from) >= Date.parse(w.to))
      wrong('to must be after from');
  });
export type MaintenanceInput = z.input<typeof maintenanceInputSchema>;

export const maintenanceSchema = z.object({
  id: z.string(),
  clientId: z.string().nullable(),
  deviceId: z.string().nullable(),
  checks: z.array(z.string()).nullable(),
  reason: z.string(),
  from: z.string().nullable(),
  to: z.string().nullable(),
  cron: z.string().nullable(),
  durationMinutes: z.number().nullable(),
  timezone: z.string().nullable(),
  createdBy: z.string(),
  createdAt: z.string(),
  removedAt: z.string().nullable(),
});
export type MaintenanceWindow = z.infer<typeof maintenanceSchema>;

type Timing = Pick<MaintenanceWindow, 'from' | 'to' | 'cron' | 'durationMinutes' | 'timezone' | 'removedAt'>;

/** Whether a window is open at `at`, in ms since the epoch. Its start belongs to it, its end does not. */
export function isOpen(window: Timing, at: number): boolean {
  if (window.removedAt !== null && at >= Date.parse(window.removedAt)) return false;
  if (
    window.from !== null &&
    window.to !== null &&
    at >= Date.parse(window.from) &&
    at < Date.parse(window.to)
  )
    return true;
  if (window.cron === null || window.durationMinutes === null) return false;
  // The first start that could still last decides: if that is yet to come, so are all after it.
  const since = new Date(at - window.durationMinutes * 60_000);
  const start = nextSlot({ cron: window.cron, timezone: window.timezone ?? 'UTC' }, since);
  return start !== null && start.getTime() <= at;
}

/**
 * The times in which a window is open, cut to a half-open period, both in ms since the epoch. Recurring ones start by
 * the clock on the wall and last as long as they say, so one that crosses a change of the clocks ends an hour earlier or
 * later by that clock.
 */
export function occurrences(window: Timing, from: number, to: number): [from: number, to: number][] {
  const end = Math.min(to, window.removedAt === null ? to : Date.parse(window.removedAt));
  const found: [number, number][] = [];
  const add = (start: number, stop: number) => {
    const cut: [number, number] = [Math.max(start, from), Math.min(stop, end)];
    if (cut[0] < cut[1]) found.push(cut);
  };
  if (window.from !== null && window.to !== null) add(Date.parse(window.from), Date.parse(window.to));
  if (window.cron !== null && window.durationMinutes !== null) {
    const ms = window.durationMinutes * 60_000;
    const cron = { cron: window.cron, timezone: window.timezone ?? 'UTC' };
    let start = nextSlot(cron, new Date(from - ms));
    while (start && start.getTime() < end) {
      add(start.getTime(), start.getTime() + ms);
      start = nextSlot(cron, start);
    }
  }
  return found;
}

/** Whether a window is about a check on a device. */
export function covers(
  window: Pick<MaintenanceWindow, 'clientId' | 'deviceId' | 'checks'>,
  thing: { clientId: string; deviceId: string; check?: string },
): boolean {
  return (
    (window.clientId === null || window.clientId === thing.clientId) &&
    (window.deviceId === null || window.deviceId === thing.deviceId) &&
    (window.checks === null || (thing.check !== undefined && window.checks.includes(thing.check)))
  );
}

export function toWindow(row: WindowRow): MaintenanceWindow {
  return { ...row, checks: row.checks === null ? null : (JSON.parse(row.checks) as string[]) };
}

/** A window as it would be, were it added now. Throws VALIDATION. */
export function plannedWindow(input: MaintenanceInput, who: Actor): MaintenanceWindow {
  const wish = parseWith(maintenanceInputSchema, input, 'maintenance window');
  const timezone = wish.cron ? (wish.timezone ?? 'UTC') : null;
  const problem = wish.cron && cronProblem({ cron: wish.cron, timezone: timezone ?? 'UTC' }, who.clock.now());
  if (problem) {
    throw new DomainError('VALIDATION', `The maintenance window is not valid: ${problem}.`, {
      hint: 'Give five fields, such as "0 22 * * 6" for Saturdays at 22:00.',
    });
  }
  const iso = (text: string | undefined) => (text ? new Date(text).toISOString() : null);
  return {
    id: newId(),
    clientId: wish.clientId ?? null,
    deviceId: wish.deviceId ?? null,
    checks: wish.checks ?? null,
    reason: wish.reason,
    from: iso(wish.from),
    to: iso(wish.to),
    cron: wish.cron ?? null,
    durationMinutes: wish.durationMinutes ?? null,
    timezone,
    createdBy: who.actor,
    createdAt: nowIso(who.clock),
    removedAt: null,
  };
}

/** Throws VALIDATION, CLIENT_NOT_FOUND or DEVICE_NOT_FOUND. */
export async function addMaintenance(
  storage: Storage,
  who: Actor,
  input: MaintenanceInput,
): Promise<MaintenanceWindow> {
  const wish = parseWith(maintenanceInputSchema, input, 'maintenance window');
  return storage.transaction(async (em) => {
    const device = wish.deviceId ? await em.findOne(DeviceEntity, { id: wish.deviceId }) : null;
    if (wish.deviceId && !device) {
      throw new DomainError('DEVICE_NOT_FOUND', `There is no device with the id "${wish.deviceId}".`, {
        hint: 'See the ids with: msp-toolkit device list',
      });
    }
    if (device && wish.clientId && device.client !== wish.clientId) {
      throw new DomainError(
        'VALIDATION',
        `The device ${device.name} is not one of the client ${wish.clientId}.`,
      );
    }
    const clientId = wish.clientId ?? device?.client ?? null;
    const client = clientId ? await em.findOne(ClientEntity, { id: clientId }) : null;
    if (clientId && !client) throw clientNotFound(clientId);
    const timezone = wish.timezone ?? client?.timezone;
    const window = plannedWindow({ ...wish, ...(wish.cron && timezone ? { timezone } : {}) }, who);
    const { clientId: _client, deviceId, ...fields } = { ...window, clientId };
    em.create(MaintenanceWindowEntity, { ...fields, client: clientId, device: deviceId });
    recordAudit(em, who, 'maintenance.add', `maintenance:${window.id}`, { ...wish });
    await em.flush();
    return { ...window, clientId };
  });
}

/** Ends a window now; the time in which it was open stays what it was. */
export async function removeMaintenance(
  storage: Storage,
  who: Actor,
  id: string,
): Promise<MaintenanceWindow> {
  const now = nowIso(who.clock);
  const row = await storage.write((tx) => {
    const found = tx.endWindow(id, now);
    if (found) {
      const subject = `maintenance:${id}`;
      tx.addAudit({ at: now, actor: who.actor, action: 'maintenance.remove', subject, details: {} });
    }
    return found;
  });
  if (!row) {
    throw new DomainError('MAINTENANCE_NOT_FOUND', `There is no maintenance window with the id "${id}".`, {
      details: { id },
      hint: 'See the ids with: msp-toolkit maintenance list',
    });
  }
  return toWindow(row);
}
