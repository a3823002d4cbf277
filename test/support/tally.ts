import { systemClock } from '../../src/domain/clock.ts';
import { updateClient } from '../../src/domain/client.ts';
import { openStorage } from '../../src/domain/storage/storage.ts';

// A process that raises a counter in the client's metadata so many times, half through the ORM and half plainly.
const [file = '', clientId = '', times = '0'] = process.argv.slice(2);
const storage = await openStorage(file);
for (let i = 0; i < Number(times); i += 1) {
  await storage.transaction(async (em) => {
    const [row] = await em
      .getConnection()
      .execute<{ n: number }[]>('select count(*) as n from clients', [], 'all', em.getTransactionContext());
    if (row?.n !== 1) throw new Error('one client expected');
    await em
      .getConnection()
      .execute(
        `update clients set metadata = json_set(metadata, '$.count', coalesce(json_extract(metadata, '$.count'), 0) + 1) where id = ?`,
        [clientId],
        'run',
        em.getTransactionContext(),
      );
  });
  await storage.write((tx) =>
    tx.addAudit({ at: '', actor: 'tally', action: String(process.pid), subject: '', details: {} }),
  );
}
if (times === '0')
  await updateClient(storage, { actor: 'tally', clock: systemClock }, clientId, { name: 'never' });
await storage.close();
