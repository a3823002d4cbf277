import type { MaintenanceWindow } from '../maintenance.ts';
import type { Prepare } from './statements.ts';

/** A window as plain SQL gives it: the checks still as text. */
export type WindowRow = Omit<MaintenanceWindow, 'checks'> & { checks: string | null };

const columns = `id, client_id as "clientId", device_id as "deviceId", checks, reason, from_at as "from", to_at as "to", cron,
  duration_minutes as "durationMinutes", timezone, created_by as "createdBy", created_at as "createdAt",
  removed_at as "removedAt"`;

export function maintenanceStatements(sql: Prepare) {
  return {
    /**
     * Windows that bear on a client (null: all windows there are).
     *
     * @param since those that were over for good before are left out
     */
    windows(clientId: string | null, since: string): WindowRow[] {
      return sql(
        `select ${columns} from maintenance_windows
         where (@clientId is null or client_id is null or client_id = @clientId)
           and (to_at is null or to_at > @since) and (removed_at is null or removed_at > @since)
         order by created_at, id`,
      ).all({ clientId, since }) as WindowRow[];
    },

    endWindow(id: string, now: string): WindowRow | undefined {
      return sql(
        `update maintenance_windows set removed_at = ? where id = ? and removed_at is null returning ${columns}`,
      ).get(now, id) as WindowRow | undefined;
    },
  };
}
