import { defineEntity, p } from '@mikro-orm/sqlite';
import type { InferEntity } from '@mikro-orm/sqlite';
import { z } from 'zod';
import { type Actor, recordAudit } from './audit.ts';
import { businessHoursSchema } from './business-hours.ts';
import { looseThresholdsSchema } from './check/thresholds.ts';
import { nowIso } from './clock.ts';
import { DomainError, parseChanges, parseWith } from './errors.ts';
import type { Storage } from './storage/storage.ts';

export const tiers = ['bronze', 'silver', 'gold', 'premium'] as const;
export const clientStatuses = ['pending', 'active', 'inactive', 'suspended'] as const;

export const ClientEntity = defineEntity({
  name: 'Client',
  tableName: 'clients',
  properties: {
    id: p.string().primary(),
    name: p.string(),
    contactEmail: p.string().nullable(),
    tier: p.string().$type<(typeof tiers)[number]>(),
    status: p.string().$type<(typeof clientStatuses)[number]>(),
    timezone: p.string(),
    metadata: p.json<Record<string, unknown>>(),
    createdAt: p.string(),
    updatedAt: p.string(),
  },
});

/** A person's or company's name: 1 to 255 characters, none that a shell or HTML would act on. */
export const nameSchema = z
  .string()
  .trim()
  .min(1, 'must not be empty')
  .max(255, 'must not be longer than 255 characters')
  .regex(/^[^<>&;|`$]*$/, 'must not contain any of < > & ; | ` $')
  // eslint-disable-next-line no-control-regex -- a name with a line break would break tables and mail headers
  .regex(/^[^\u0000-\u001f\u007f]*$/, 'must not contain control characters');

export const clientIdSchema = z
  .string()
  .regex(/^[a-z0-9-]{1,100}$/, 'must be 1 to 100 characters of a-z, 0-9 and -');

export const emailSchema = z.email('must be an e-mail address');

export const timezoneSchema = z.string().refine((zone) => {
  try {
    return Boolean(new Intl.DateTimeFormat('en', { timeZone: zone }));
  } catch {
    return false;
  }
}, 'must be an IANA timezone such as Europe/Berlin');

/** What a company wants to keep of a client. What is named here steers its monitoring and its reports. */
export const clientMetadataSchema = z.looseObject({
  slaTargetPercent: z.number().min(0).max(100).optional().describe('What SLA reports compare with.'),
  thresholds: looseThresholdsSchema.optional().describe("Limits for all of the client's devices."),
  businessHours: businessHoursSchema.optional().describe('When somebody is there to act.'),
});

const clientFields = {
  name: nameSchema,
  contactEmail: emailSchema.nullable(),
  tier: z.enum(tiers),
  timezone: timezoneSchema,
  metadata: clientMetadataSchema,
};

export const clientInputSchema = z.strictObject({
  id: clientIdSchema.optional(),
  name: clientFields.name,
  contactEmail: clientFields.contactEmail.default(null),
  tier: clientFields.tier.default('bronze'),
  timezone: clientFields.timezone.default('UTC'),
  metadata: clientFields.metadata.default({}),
});

export const clientChangesSchema = z
  .strictObject({ ...clientFields, status: z.enum(clientStatuses) })
  .partial();

export const clientSchema = z.object({
  id: z.string(),
  name: z.string(),
  contactEmail: z.string().nullable(),
  tier: z.enum(tiers),
  status: z.enum(clientStatuses),
  timezone: z.string(),
  metadata: z.record(z.string(), z.unknown()),
  createdAt: z.string(),
  updatedAt: z.string(),
});

export type Client = z.infer<typeof clientSchema>;
export type ClientInput = z.input<typeof clientInputSchema>;
export type ClientChanges = z.input<typeof clientChangesSchema>;

function toClient(row: InferEntity<typeof ClientEntity>): Client {
  const { id, name, contactEmail, tier, status, timezone, metadata, createdAt, updatedAt } = row;
  return {
    id,
    name,
    contactEmail: contactEmail ?? null,
    tier,
    status,
    timezone,
    metadata,
    createdAt,
    updatedAt,
  };
}

/** The id that a name gets unless one is chosen: "Ärzte & Co" becomes "arzte-co". */
export function slugOf(name: string): string {
  return name
    .normalize('NFKD')
    .replace(/[\u0300-\u036f]/g, '')
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-+|-+$/g, '')
    .slice(0, 100)
    .replace(/-+$/, '');
}

export function clientNotFound(id: string): DomainError {
  return new DomainError('CLIENT_NOT_FOUND', `There is no client with the id "${id}".`, {
    details: { clientId: id },
    hint: 'See the ids with: msp-toolkit client list',
  });
}

/** Registers a client as `pending`. Throws VALIDATION or CLIENT_EXISTS. */
export async function addClient(storage: Storage, who: Actor, input: ClientInput): Promise<Client> {
  const { id: chosen, ...fields } = parseWith(clientInputSchema, input, 'client');
  const id = chosen ?? slugOf(fields.name);
  if (!id) {
    throw new DomainError('VALIDATION', `No id can be made from the name "${fields.name}".`, {
      hint: 'Choose one with --id, from a-z, 0-9 and -.',
    });
  }
  return storage.transaction(async (em) => {
    if (await em.findOne(ClientEntity, { id })) {
      throw new DomainError('CLIENT_EXISTS', `A client with the id "${id}" exists already.`, {
        details: { clientId: id },
        hint: 'Choose another id with --id, or change that client with: msp-toolkit client update ' + id,
      });
    }
    const now = nowIso(who.clock);
    const row = em.create(ClientEntity, { id, ...fields, status: 'pending', createdAt: now, updatedAt: now });
    recordAudit(em, who, 'client.add', `client:${id}`, { name: fields.name });
    await em.flush();
    return toClient(row);
  });
}

export async function listClients(
  storage: Storage,
  filter: { status?: Client['status']; tier?: Client['tier'] } = {},
): Promise<Client[]> {
  return storage.read
    .clients(filter)
    .map((row) => clientSchema.parse({ ...row, metadata: JSON.parse(row.metadata) }));
}

/** Throws CLIENT_NOT_FOUND. */
export async function getClient(storage: Storage, id: string): Promise<Client> {
  const row = await storage.em().findOne(ClientEntity, { id });
  if (!row) throw clientNotFound(id);
  return toClient(row);
}

export async function updateClient(
  storage: Storage,
  who: Actor,
  id: string,
  changes: ClientChanges,
): Promise<Client> {
  const parsed = parseChanges(clientChangesSchema, changes);
  return storage.transaction(async (em) => {
    const row = await em.findOne(ClientEntity, { id });
    if (!row) throw clientNotFound(id);
    em.assign(row, { ...parsed, updatedAt: nowIso(who.clock) });
    recordAudit(em, who, 'client.update', `client:${id}`, parsed);
    await em.flush();
    return toClient(row);
  });
}

/** Removes a client with its devices, results, reports and deliveries; its jobs stay as history. */
export async function removeClient(storage: Storage, who: Actor, id: string): Promise<Client> {
  return storage.transaction(async (em) => {
    const row = await em.findOne(ClientEntity, { id });
    if (!row) throw clientNotFound(id);
    const client = toClient(row);
    em.remove(row);
    recordAudit(em, who, 'client.remove', `client:${id}`, { name: client.name });
    await em.flush();
    return client;
  });
}
