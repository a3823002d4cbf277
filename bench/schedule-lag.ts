import { openSchedules } from '../src/scheduler/schedules.ts';
import { startScheduler } from '../src/scheduler/scheduler.ts';
import { benchEngine, empty } from './engine.ts';
import { quantile, tidy } from './measure.ts';
import { plainRetention, plainSettings } from '../test/support/settings.ts';

const count = 1000;

/** How late the jobs of 1,000 schedules are asked for that all come due in the same second, in ms. */
export async function scheduleLag(home: string): Promise<Record<string, { p50: number; p99: number }>> {
  const { engine, work, close } = await benchEngine(home, 'schedule-lag');
  const schedules = openSchedules(engine, 'bench');
  // Far enough off that all of them stand in Redis by then.
  const second = new Date(Date.now() + 15_000).getUTCSeconds();
  await Promise.all(
    Array.from({ length: count }, (_, n) =>
      schedules.add({ name: `s-${n}`, cron: `${second} * * * * *`, jobType: empty.type }),
    ),
  );
  const lags: number[] = [];
  const workers = await work();
  let all = () => {};
  const done = new Promise<void>((resolve) => {
    all = resolve;
  });
  const scheduler = startScheduler(engine, {
    retention: plainRetention,
    alerts: plainSettings.alerts,
    onLag(ms) {
      lags.push(ms);
      if (lags.length === count) all();
    },
  });
  await done;
  await scheduler.close();
  await workers.close(5000);
  await close();
  return { scheduleLagMs: { p50: tidy(quantile(lags, 0.5)), p99: tidy(quantile(lags, 0.99)) } };
}
