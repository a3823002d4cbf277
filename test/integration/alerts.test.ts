import { describe, expect, test } from 'vitest';
import type { Measurement } from '../../src/domain/check/check.ts';
import { addMaintenance, removeMaintenance } from '../../src/domain/maintenance.ts';
import { openAlerts } from '../../src/entry/facade/alerts.ts';
import { parseConfig } from '../../src/entry/config.ts';
import { watchSilence } from '../../src/scheduler/silence.ts';
import { type Monitored, monitored } from '../support/monitored.ts';
import { measured } from '../support/results.ts';

const bad = { value: 99 };
const good = { value: 1 };
const config = parseConfig({}, {});

const times = async (n: number, work: () => Promise<unknown>) => {
  for (let i = 0; i < n; i += 1) await work();
};

function facade(m: Monitored, actor = 'cli:anna') {
  return openAlerts({ storage: m.storage, who: { actor, clock: m.clock }, config });
}

async function openOne(m: Monitored) {
  await times(3, () => m.run({ web: bad }));
  const [alert] = await facade(m).list();
  if (!alert) throw new Error('no alert');
  return alert;
}

const later = (m: Monitored, minutes: number) =>
  new Date(m.clock.now().getTime() + minutes * 60_000).toISOString();

describe('an alert', () => {
  test('is raised at the third bad result in a row, once, and resolved by the first good one', async () => {
    const m = await monitored();
    await m.run({ web: good });
    await times(2, () => m.run({ web: bad }));
    expect(m.alerts()).toEqual([]);
    await m.run({ web: bad });
    expect(m.alerts()).toEqual(['critical open web cpu']);
    await times(5, () => m.run({ web: { value: 95 + Math.random() * 5 } }));
    expect(m.alerts()).toEqual(['critical open web cpu']);
    const at = await m.run({ web: good });
  const late = new Date(Date.parse(at) - 60_000).toISOString();
  await m.run({ web: bad }, { at: late, now: new Date(at) });
  expect(m.storage.read.statesOf('acme')).toMatchObject([{ status: 'healthy', at }]);
  expect(m.storage.read.runsBetween('acme', 0, 4e12)).toHaveLength(2);
});

test('what a simulation would have raised is what was raised, and more with tighter limits', async () => {
  const m = await monitored({ web: {} }, { start: new Date(Date.now() - 6 * 3_600_000).toISOString() });
  for (const value of [10, 99, 99, 99, 10, 80, 80, 80, 80, 10]) await m.run({ web: { value } });
  const simulate = (wish: object) =>
    openAlerts({ storage: m.storage, who: { actor: 'x', clock: m.clock }, config }).simulate({
      sinceMs: 86_400_000,
      thresholds: {},
      maintenance: [],
      ...wish,
    });
  const same = await simulate({});
  expect(same).toMatchObject({ actual: 1, results: 10, alerts: [{ severity: 'critical', check: 'cpu' }] });
  const [raised] = await openAlerts({
    storage: m.storage,
    who: { actor: 'x', clock: m.clock },
    config,
  }).list({ state: 'all' });
  expect(same.alerts[0]).toMatchObject({ openedAt: raised?.openedAt, resolvedAt: raised?.resolvedAt });
  const tighter = await simulate({ thresholds: { cpu: { warning: 75 } } });
  expect(tighter.alerts.map((a) => a.severity)).toEqual(['critical', 'warning']);
  expect((await simulate({ attempts: 4 })).alerts).toEqual([]);
  const night = {
    clientId: 'acme',
    reason: 'x',
    from: new Date(Date.now() - 86_400_000).toISOString(),
    to: new Date().toISOString(),
  };
  expect((await simulate({ maintenance: [night] })).alerts).toEqual([]);
});
