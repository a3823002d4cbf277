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
    expect(m.alerts()).toEqual([]);
    expect(m.told).toEqual(['opened web cpu', 'resolved web cpu']);
    const [alert] = await facade(m).list({ state: 'resolved' });
    expect(alert).toMatchObject({ count: 6, resolvedAt: at, resolvedBy: 'recovery' });
    const { timeline } = await facade(m).get(alert?.id ?? '');
    expect(timeline.map((e) => [e.what, e.who])).toEqual([
      ['opened', 'monitor'],
      ['resolved', 'monitor'],
    ]);
  });

  test('of the same thing has the same fingerprint, whatever the value; of another one another', async () => {
    const m = await monitored({ web: {}, db: {} });
    await times(3, () => m.run({ web: { value: 96.1 }, db: { value: 99 } }));
    const [first, other] = await facade(m).list();
    await m.run({ web: good, db: good });
    await times(3, () => m.run({ web: { value: 99.9, message: 'other words' } }));
    const [second] = await facade(m).list();
    expect(second?.fingerprint).toBe(
      [first, other].find((a) => a?.deviceId === m.devices['web'])?.fingerprint,
    );
    expect(first?.fingerprint).not.toBe(other?.fingerprint);
    expect(second?.id).not.toBe(first?.id);
  });

  test('tells when it gets worse and notes when it gets better', async () => {
    const m = await monitored();
    await times(3, () => m.run({ web: { value: 90 } }));
    await m.run({ web: { value: 99 } });
    await m.run({ web: { value: 90 } });
    expect(m.told).toEqual(['opened web cpu', 'worse web cpu']);
    expect(m.alerts()).toEqual(['warning open web cpu']);
    const [alert] = await facade(m).list();
    const { timeline } = await facade(m).get(alert?.id ?? '');
    expect(timeline.map((e) => e.what)).toEqual(['opened', 'worse', 'better']);
  });

  test('is raised for what was known and is so no longer, not for what never was', async () => {
    const m = await monitored({ web: {}, printer: {} });
    const unknown: Partial<Measurement> = { status: 'unknown', message: 'not this host' };
    await m.run({ web: good, printer: unknown });
    await times(5, () => m.run({ web: unknown, printer: unknown }));
    expect(m.alerts()).toEqual(['warning open web cpu']);
  });

  test('is raised for a file system that was there and is gone', async () => {
    const m = await monitored();
    const disk = (...mounts: string[]) =>
      mounts.map((instance) => measured('', { check: 'disk', instance, value: 10 }));
    await m.run({ web: disk('/', '/data') });
    await times(3, () => m.run({ web: disk('/') }));
    expect(m.alerts()).toEqual(['warning open web disk /data']);
    await m.run({ web: disk('/', '/data') });
    expect(m.alerts()).toEqual([]);
  });

  test('of a check that fails as a whole is one for each thing that it looked at', async () => {
    const m = await monitored();
    await m.run({ web: [measured('', { check: 'disk', instance: '/', value: 10 })] });
    await times(3, () =>
      m.run({ web: [measured('', { check: 'disk', status: 'unknown', message: 'no df' })] }),
    );
    expect(m.alerts()).toEqual(['warning open web disk /']);
  });

  test('ends when its check is taken away', async () => {
    const m = await monitored();
    const http = (status: Measurement['status']) => [
      measured('', { check: 'http', instance: 'https://a', status }),
    ];
    await times(3, () => m.run({ web: http('critical') }));
    await m.run({ web: [measured('', { value: 1 })] }, { complete: true });
    expect(m.alerts()).toEqual([]);
    expect(m.told.at(-1)).toBe('resolved web http https://a');
  });
});

describe('a thing that flaps', () => {
  test('raises one alert, which stays until the state has settled and is good', async () => {
    const m = await monitored();
    for (let n = 0; n < 30; n += 1) await m.run({ web: n % 2 === 0 ? good : bad });
    expect(m.alerts()).toEqual(['warning open web cpu']);
    expect(m.told).toEqual(['opened web cpu']);
    await times(3, () => m.run({ web: good }));
    expect(m.alerts()).toHaveLength(1);
    await times(20, () => m.run({ web: good }));
    expect(m.alerts()).toEqual([]);
    expect(m.told).toEqual(['opened web cpu', 'resolved web cpu']);
  });

  test('and stays bad in the end is still told of', async () => {
    const m = await monitored();
    for (let n = 0; n < 20; n += 1) await m.run({ web: n % 2 === 0 ? good : bad });
    await times(25, () => m.run({ web: bad }));
    expect(m.alerts()).toEqual(['critical open web cpu']);
    expect(m.told.at(-1)).toBe('worse web cpu');
  });
});

describe('a device behind one that is down', () => {
  const ping = (status: Measurement['status']) =>
    measured('', { check: 'ping', status, message: String(status) });
  const site = { pc: { dependsOn: ['gateway'] }, gateway: {} };

  test('is unreachable, not down, and raises no alert; its gateway does', async () => {
    const m = await monitored(site);
    await m.run({ pc: [ping('healthy')], gateway: [ping('healthy')] });
    await times(5, () => m.run({ pc: [ping('critical')], gateway: [ping('critical')] }));
    expect(m.alerts()).toEqual(['critical open gateway ping']);
    const pc = m.storage.read.statesOf('acme').find((row) => row.device_id === m.devices['pc']);
    expect(pc).toMatchObject({ unreachable: 1, status: 'critical' });
  });

  test('raises its alert once the gateway is back and it is not', async () => {
    const m = await monitored(site);
    await m.run({ pc: [ping('healthy')], gateway: [ping('healthy')] });
    await times(4, () => m.run({ pc: [ping('critical')], gateway: [ping('critical')] }));
    await m.run({ pc: [ping('critical')], gateway: [ping('healthy')] });
    expect(m.alerts()).toEqual(['critical open pc ping']);
  });
});

describe('what the way there can not hide', () => {
  const site = { server: { dependsOn: ['gateway'] }, gateway: {} };
  const of = (check: string, status: Measurement['status']) =>
    measured('', { check, status, message: check });

  test('is what was measured on the device itself', async () => {
    const m = await monitored(site);
    await times(4, () => m.run({ server: bad, gateway: [of('ping', 'critical')] }));
    expect(m.alerts().toSorted()).toEqual(['critical open gateway ping', 'critical open server cpu']);
  });

  test('is anything, as long as one way to the gateway works', async () => {
    const m = await monitored(site);
    const gateway = [of('ping', 'healthy'), of('http', 'critical')];
    const run = () => m.run({ server: [of('tcp', 'critical')], gateway }, { reachability: ['ping', 'http'] });
    await times(3, run);
    expect(m.alerts()).toContain('critical open server tcp');
  });
});

test('one entry of a list that fails speaks for itself alone', async () => {
  const m = await monitored();
  const ping = (instance: string, status: Measurement['status']) =>
    measured('', { check: 'ping', instance, status, message: String(status) });
  await times(3, () => m.run({ web: [ping('', 'critical'), ping('10.0.0.1', 'healthy')] }));
  expect(m.alerts()).toEqual(['critical open web ping']);
  await m.run({ web: [ping('', 'unknown'), ping('10.0.0.1', 'healthy')] });
  expect(m.alerts()).toEqual(['warning open web ping']);
  const other = m.storage.read.statesOf('acme').find((row) => row.instance === '10.0.0.1');
  expect(other?.status).toBe('healthy');
});

test("a clock that was ahead for once stands in nobody's way", async () => {
  const m = await monitored();
  await m.run({ web: good }, { at: '2026-06-01T05:00:00.000Z' });
  await m.run({ web: bad }, { at: '2026-06-01T00:05:00.000Z' });
  await times(2, () => m.run({ web: bad }));
  expect(m.alerts()).toEqual(['critical open web cpu']);
});

test('a run by hand shortens nothing: what holds for hours goes on holding', async () => {
  const m = await monitored();
  await m.run({ web: good }, { holdMs: 5_400_000 });
  const before = m.storage.read.statesOf('acme')[0]?.hold_until;
  await m.run({ web: good }, { extends: true });
  expect(m.storage.read.statesOf('acme')[0]?.hold_until).toBe(before);
  await m.run({ web: bad }, { extends: true });
  expect(m.storage.read.statesOf('acme')[0]?.hold_until).not.toBe(before);
});

test('a value that swings around a limit is told of once', async () => {
  const m = await monitored();
  await times(3, () => m.run({ web: { value: 94 } }));
  for (let n = 0; n < 20; n += 1) await m.run({ web: { value: n % 2 === 0 ? 96 : 94 } });
  expect(m.told).toEqual(['opened web cpu', 'worse web cpu']);
});

test('what gets worse in maintenance is told when it is over', async () => {
  const m = await monitored();
  await times(3, () => m.run({ web: { value: 90 } }));
  await addMaintenance(
    m.storage,
    { actor: 'test', clock: m.clock },
    { clientId: 'acme', reason: 'x', from: m.clock.now().toISOString(), to: later(m, 12) },
  );
  await times(2, () => m.run({ web: bad }));
  expect(m.told).toEqual(['opened web cpu']);
  await m.run({ web: bad });
  expect(m.told).toEqual(['opened web cpu', 'worse web cpu']);
});

describe('silence', () => {
  const settings = { alerts: { channels: [], groupMs: 0, remindMs: null } };
  async function scheduled(payload: object) {
    const m = await monitored({ web: {}, db: {} });
    await m.storage.write((tx) =>
      tx.putSchedule({
        id: 's',
        name: 's',
        cron: '*/5 * * * *',
        timezone: 'UTC',
        job_type: 'health.check',
        payload: JSON.stringify(payload),
        misfire: 'once',
        misfire_window_seconds: 0,
        overlap: 'skip',
        jitter_seconds: 0,
        paused: 0,
        source: 'command',
        cursor: '',
        next_at: null,
        last_run_at: null,
        created_at: '',
        updated_at: '',
      }),
    );
    await m.run({ web: good, db: good });
    return m;
  }

  test('of a device whose checks are scheduled is an alert, once, until there are results again', async () => {
    const m = await scheduled({ all: true });
    m.clock.set(later(m, 19));
    expect(await watchSilence(m, settings)).toBe(0);
    m.clock.set(later(m, 2));
    expect(await watchSilence(m, settings)).toBe(2);
    expect(await watchSilence(m, settings)).toBe(0);
    await m.run({ web: good });
    expect(m.alerts()).toEqual(['warning open db results']);
    expect(m.told).toEqual(['resolved web results']);
  });

  test('of one that is only checked by hand is none', async () => {
    const m = await scheduled({ clientId: 'other' });
    m.clock.set(later(m, 60));
    expect(await watchSilence(m, settings)).toBe(0);
  });
});

describe('maintenance', () => {
  const plan = (m: Monitored, wish: object = {}) =>
    addMaintenance(
      m.storage,
      { actor: 'test', clock: m.clock },
      {
        clientId: 'acme',
        reason: 'new switch',
        from: m.clock.now().toISOString(),
        to: later(m, 60),
        ...wish,
      },
    );

  test('stops alerts from being raised, not checks; what is still bad afterwards is told', async () => {
    const m = await monitored();
    await plan(m, { to: later(m, 25) });
    await times(4, () => m.run({ web: bad }));
    expect(m.alerts()).toEqual([]);
    expect(m.storage.read.runsBetween('acme', 0, 4e12)).toHaveLength(4);
    await times(2, () => m.run({ web: bad }));
    expect(m.alerts()).toEqual(['critical open web cpu']);
  });

  test('never stops one from being resolved', async () => {
    const m = await monitored();
    await openOne(m);
    await plan(m);
    await m.run({ web: good });
    expect(m.alerts()).toEqual([]);
    expect(m.told.at(-1)).toBe('resolved web cpu');
  });

  test('of another device, client or check stops nothing; that was removed neither', async () => {
    const m = await monitored({ web: {}, db: {} });
    await plan(m, { deviceId: m.devices['db'] });
    await plan(m, { checks: ['disk'] });
    const { id } = await plan(m);
    await removeMaintenance(m.storage, { actor: 'test', clock: m.clock }, id);
    await openOne(m);
    expect(m.alerts()).toEqual(['critical open web cpu']);
  });

  test('for a device or a client that does not exist is refused', async () => {
    const m = await monitored();
    await expect(plan(m, { deviceId: 'x' })).rejects.toMatchObject({ code: 'DEVICE_NOT_FOUND' });
    await expect(plan(m, { clientId: 'nobody' })).rejects.toMatchObject({ code: 'CLIENT_NOT_FOUND' });
    const wish = { from: undefined, to: undefined, cron: '61 * * * *', durationMinutes: 5 };
    await expect(plan(m, wish)).rejects.toMatchObject({ code: 'VALIDATION' });
  });
});

describe('by hand', () => {
  test('an alert is acknowledged with who, why and until when', async () => {
    const m = await monitored();
    const { id } = await openOne(m);
    const until = later(m, 60);
    const alert = await facade(m).acknowledge(id, 'disk ordered', until);
    expect(alert).toMatchObject({
      state: 'acknowledged',
      acknowledgedBy: 'cli:anna',
      note: 'disk ordered',
      until,
    });
    await m.run({ web: bad });
    expect(m.alerts()).toEqual(['critical acknowledged web cpu']);
    expect((await facade(m).get(id)).timeline.at(-1)).toMatchObject({
      who: 'cli:anna',
      note: 'disk ordered',
    });
    expect(m.storage.read.auditActors('alert.acknowledged')).toEqual(['cli:anna']);
  });

  test('one that gets worse than when it was acknowledged or snoozed is open again', async () => {
    const m = await monitored();
    await times(3, () => m.run({ web: { value: 90 } }));
    const [alert] = await facade(m).list();
    await facade(m).snooze(alert?.id ?? '', later(m, 6000));
    await times(3, () => m.run({ web: { value: 86 + Math.random() * 8 } }));
    expect(m.alerts()).toEqual(['warning snoozed web cpu']);
    await m.run({ web: { value: 99 } });
    expect(m.alerts()).toEqual(['critical open web cpu']);
    expect(m.told.at(-1)).toBe('worse web cpu');
  });

  test('a snooze needs an end to come', async () => {
    const m = await monitored();
    const { id } = await openOne(m);
    await expect(facade(m).snooze(id, later(m, -1))).rejects.toMatchObject({ code: 'VALIDATION' });
    await expect(facade(m).snooze(id, 'never')).rejects.toMatchObject({ code: 'VALIDATION' });
  });

  test('one that is resolved is raised anew only after as many bad results as ever', async () => {
    const m = await monitored();
    const { id } = await openOne(m);
    await facade(m).resolve(id, 'mended');
    await times(2, () => m.run({ web: bad }));
    expect(m.alerts()).toEqual([]);
    await m.run({ web: bad });
    expect(m.alerts()).toEqual(['critical open web cpu']);
    await expect(facade(m).resolve(id)).rejects.toMatchObject({ code: 'ALERT_STATE' });
  });

  test('one that does not exist is named', async () => {
    const m = await monitored();
    await expect(facade(m).get('x')).rejects.toMatchObject({ code: 'ALERT_NOT_FOUND' });
    await expect(facade(m).acknowledge('x', 'y')).rejects.toMatchObject({ code: 'ALERT_NOT_FOUND' });
  });
});

test('a result that comes late changes nothing about how things stand', async () => {
  const m = await monitored();
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
