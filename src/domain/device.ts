import { defineEntity, p } from '@mikro-orm/sqlite';
import type { InferEntity } from '@mikro-orm/sqlite';
import { z } from 'zod';
import { type Actor, recordAudit } from './audit.ts';
import { ClientEntity, clientIdSchema, clientNotFound, nameSchema } from './client.ts';
import { deviceChecksSchema } from './check/plan.ts';
import { looseThresholdsSchema } from './check/thresholds.ts';
import { DomainError, parseChanges, parseWith } from './errors.ts';
import { v7 as newId } from 'uuid';
import type { ProbeTarget } from './ports.ts';
import type { Storage } from './storage/storage.ts';

export const deviceTypes = [
  'server',
  'workstation',
  'laptop',
  'network',
  'printer',
  'mobile',
  'other',
] as const;

export const DeviceEntity = defineEntity({
  name: 'Device',
  tableName: 'devices',
  properties: {
    id: p.string().primary(),
    client: () => p.manyToOne(ClientEntity).mapToPk().deleteRule('cascade').index(false),
    name: p.string(),
    type: p.string().$type<(typeof deviceTypes)[number]>(),
    rmmDeviceId: p.string().nullable(),
    lastSeen: p.string().nullable(),
    metadata: p.json<Record<string, unknown>>(),
  },
  uniques: [{ properties: ['client', 'name'] }],
});

/** What a company wants to keep of a device. What is named here steers its health checks. */
export const deviceMetadataSchema = z.looseObject({
  services: z.array(z.string().min(1)).optional().describe('Services that are expected to run on it.'),
  address: z.string().min(1).max(253).optional().describe('Where it is reached, if not by its name.'),
  checks: deviceChecksSchema.optional().describe('What is checked on it, with settings.'),
  thresholds: looseThresholdsSchema.optional().describe('Its own limits.'),
  dependsOn: z.array(z.string().min(1)).optional().describe('Devices without which nobody can reach it.'),
});

export const deviceInputSchema = z.strictObject({
  clientId: clientIdSchema,
  name: nameSchema,
  type: z.enum(deviceTypes).default('workstation'),
  rmmDeviceId: z.string().min(1).nullable().default(null),
  metadata: deviceMetadataSchema.default({}),
});

export const deviceChangesSchema = z
  .strictObject({
    name: nameSchema,
    type: z.enum(deviceTypes),
    rmmDeviceId: z.string().min(1).nullable(),
    metadata: deviceMetadataSchema,
  })
  .partial();

export const deviceSchema = z.object({
  id: z.string(),
  clientId: z.string(),
  name: z.string(),
  type: z.enum(deviceTypes),
  rmmDeviceId: z.string().nullable(),
  lastSeen: z.string().nullable(),
  metadata: deviceMetadataSchema,
});

export type Device = z.infer<typeof deviceSchema>;
export type DeviceInput = z.input<typeof deviceInputSchema>;
export type DeviceChanges = z.input<typeof deviceChangesSchema>;

function toDevice(row: InferEntity<typeof DeviceEntity>): Device {
  return {
    id: row.id,
    clientId: row.client,
    name: row.name,
    type: row.type,
    rmmDeviceId: row.rmmDeviceId ?? null,
    lastSeen: row.lastSeen ?? null,
    metadata: row.metadata,
  };
}

function deviceNotFound(id: string): DomainError {
  return new DomainError('DEVICE_NOT_FOUND', `There is no device with the id "${id}".`, {
    details: { deviceId: id },
    hint: 'See the ids with: msp-toolkit device list',
  });
}

function deviceExists(clientId: string, name: string): DomainError {
  return new DomainError('DEVICE_EXISTS', `The client "${clientId}" has a device "${name}" already.`, {
    details: { clientId, name },
    hint: `See it with: msp-toolkit device list --client-id ${clientId}`,
  });
}

/** Registers a device of a client. Throws VALIDATION, CLIENT_NOT_FOUND or DEVICE_EXISTS. */
export async function addDevice(storage: Storage, who: Actor, input: DeviceInput): Promise<Device> {
  const { clientId, ...fields } = parseWith(deviceInputSchema, input, 'device');
  return storage.transaction(async (em) => {
    if (!(await em.findOne(ClientEntity, { id: clientId }))) throw clientNotFound(clientId);
    if (await em.findOne(DeviceEntity, { client: clientId, name: fields.name }))
      throw deviceExists(clientId, fields.name);
    const row = em.create(DeviceEntity, { id: newId(), client: clientId, ...fields, lastSeen: null });
    recordAudit(em, who, 'device.add', `device:${row.id}`, { clientId, name: fields.name });
    await em.flush();
    return toDevice(row);
  });
}

export async function listDevices(storage: Storage, filter: { clientId?: string } = {}): Promise<Device[]> {
  const rows = await storage.em().find(DeviceEntity, filter.clientId ? { client: filter.clientId } : {}, {
    orderBy: { client: 'asc', name: 'asc' },
    disableIdentityMap: true,
  });
  return rows.map(toDevice);
}

/** The devices of a client as probes are told of them: a plain read, for the way that every check takes. */
export function probeTargets(storage: Storage, clientId: string): ProbeTarget[] {
  return storage.read.devicesOf(clientId).map((row) => ({
    id: row.id,
    name: row.name,
    type: row.type as Device['type'],
    rmmDeviceId: row.rmm_device_id,
    metadata: JSON.parse(row.metadata),
  }));
}

export async function getDevice(storage: Storage, id: string): Promise<Device> {
  const row = await storage.em().findOne(DeviceEntity, { id });
  if (!row) throw deviceNotFound(id);
  return toDevice(row);
}

export async function updateDevice(
  storage: Storage,
  who: Actor,
  id: string,
  changes: DeviceChanges,
): Promise<Device> {
  const parsed = parseChanges(deviceChangesSchema, changes);
  return storage.transaction(async (em) => {
    const row = await em.findOne(DeviceEntity, { id });
    if (!row) throw deviceNotFound(id);
    const { name } = parsed;
    if (
      name !== undefined &&
      name !== row.name &&
      (await em.findOne(DeviceEntity, { client: row.client, name }))
    ) {
      throw deviceExists(row.client, name);
    }
    em.assign(row, parsed);
    recordAudit(em, who, 'device.update', `device:${id}`, parsed);
    await em.flush();
    return toDevice(row);
  });
}

export async function removeDevice(storage: Storage, who: Actor, id: string): Promise<Device> {
  return storage.transaction(async (em) => {
    const row = await em.findOne(DeviceEntity, { id });
    if (!row) throw deviceNotFound(id);
    const device = toDevice(row);
    em.remove(row);
    recordAudit(em, who, 'device.remove', `device:${id}`, { clientId: device.clientId, name: device.name });
    await em.flush();
    return device;
  });
}
