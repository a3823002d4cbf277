import { defineEntity, p } from '@mikro-orm/sqlite';
import type { EntityManager } from '@mikro-orm/sqlite';
import { type Clock, nowIso } from './clock.ts';

/** Who did what to which thing. Entries are only ever added. */
export const AuditEntity = defineEntity({
  name: 'AuditEntry',
  tableName: 'audit_entries',
  properties: {
    id: p.integer().primary().autoincrement(),
    at: p.string(),
    actor: p.string(),
    action: p.string(),
    subject: p.string(),
    details: p.json<Record<string, unknown>>(),
  },
  indexes: [{ properties: ['subject', 'at'] }],
});

/** Who asks: the door and, where known, the person or agent behind it, such as `cli:anna` or `mcp:claude`. */
export interface Actor {
  actor: string;
  clock: Clock;
}

/** Adds an audit entry to the transaction that `em` belongs to, so that an act and its trace stand or fall together. */
export function recordAudit(
  em: EntityManager,
  who: Actor,
  action: string,
  subject: string,
  details: Record<string, unknown> = {},
): void {
  em.create(AuditEntity, { at: nowIso(who.clock), actor: who.actor, action, subject, details });
}
