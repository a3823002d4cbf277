import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { measurementSchema } from '../../../src/domain/check/check.ts';
import { type Catalogue, type CheckType, defineCheck } from '../../../src/domain/check/check-type.ts';
import { assertThresholds } from '../../../src/domain/check/thresholds.ts';
import { catalogue } from '../../../src/workers/probes/index.ts';
import { here, measure, tcpServer } from '../../support/probing.ts';

/** Settings with which a check type can be tried on any machine. */
async function settingsFor(type: CheckType): Promise<Record<string, unknown>> {
  const port = await tcpServer((socket) => socket.end('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n'));
  const known: Record<string, Record<string, unknown>> = {
    cpu: { windowSeconds: 0.2 },
    network: { gateway: false, hosts: ['127.0.0.1'] },
    ping: { host: '127.0.0.1', count: 1 },
    tcp: { host: '127.0.0.1', port },
    http: { url: `http://127.0.0.1:${port}/` },
    tls: { host: '127.0.0.1', port },
    dns: { name: 'localhost.example', server: `127.0.0.1:${port}`, timeoutSeconds: 0.5 },
    backup: { folder: import.meta.dirname },
    plugin: { command: 'check_dummy' },
  };
  return known[type.name] ?? {};
}

describe.each([...catalogue])('the check $name', (type) => {
  test('answers in the agreed form, with a message and a duration', async () => {
    const found = await measure(type.name, await settingsFor(type));
    expect(found.length).toBeGreaterThan(0);
    for (const m of found) {
      expect(measurementSchema.parse(m)).toMatchObject({ check: type.name });
      expect(m.message).not.toBe('');
      expect(m.ms).toBeGreaterThanOrEqual(0);
      // What has no value and no verdict would be judged unknown; it must then say so itself.
      expect(m.status !== null || typeof m.values[0]?.value === 'number').toBe(true);
      // Values are those it declares, each with its unit, the main one first where it is there.
      const declared = m.values.filter(
        ({ name, unit }) => type.openValues || type.values[name]?.unit === unit,
      );
      expect(declared).toEqual(m.values);
    }
    expect(new Set(found.map((m) => m.instance)).size).toBe(found.length);
  });

  test('gives up as soon as its signal is aborted', async () => {
    const controller = new AbortController();
    const measuring = measure(type.name, await settingsFor(type), { signal: controller.signal });
    controller.abort(new Error('given up'));
    const began = performance.now();
    const outcome = await measuring.catch((error: Error) => error.message);
    expect(Array.isArray(outcome) || outcome === 'given up').toBe(true);
    expect(performance.now() - began).toBeLessThan(1000);
  });

  test('says what it is about, and has limits that can be right', () => {
    expect(type.about).not.toBe('');
    expect(type.timeoutMs(type.settings.safeParse({}).data ?? { timeoutSeconds: 1 })).toBeGreaterThan(0);
    const limits = Object.entries(type.values).map(([name, { warning = null, critical = null }], i) => [
      i === 0 ? type.name : `${type.name}.${name}`,
      { warning, critical },
    ]);
    expect(() => assertThresholds(catalogue, [], Object.fromEntries(limits))).not.toThrow();
  });

  test('for a device that it can not reach into is unknown with the reason', async () => {
    if (type.runs !== 'on-device') return;
    const found = await measure(type.name, await settingsFor(type), {
      device: { ...here, name: 'elsewhere' },
    });
    expect(found).toMatchObject([{ status: 'unknown', instance: '' }]);
    expect(found[0]?.message).toContain('elsewhere is not this host');
  });
});

test('no two checks have the same name', () => {
  expect(new Set(catalogue.map((type) => type.name)).size).toBe(catalogue.length);
});

describe('a check that does not keep to the contract', () => {
  const misbehaving = (work: CheckType['measure']): Catalogue => [
    defineCheck({ ...(catalogue[0] as CheckType), name: 'cpu', timeoutMs: () => 100, measure: work }),
  ];

  test('and goes on for too long is left behind and unknown', async () => {
    const stubborn = misbehaving(async () => delay(3000, [{ message: 'late' }]));
    const began = performance.now();
    const found = await measure('cpu', {}, { catalogue: stubborn });
    expect(performance.now() - began).toBeLessThan(1000);
    expect(found).toMatchObject([{ status: 'unknown', message: 'no answer within 0.1 s' }]);
  });

  test('and throws is unknown with what it threw', async () => {
    const broken = misbehaving(async () => Promise.reject(new Error('no such thing')));
    expect(await measure('cpu', {}, { catalogue: broken })).toMatchObject([
      { status: 'unknown', message: 'no such thing' },
    ]);
  });

  test('and finds two things of one name has them told apart', async () => {
    const doubled = misbehaving(async () => [{ message: 'a' }, { message: 'b' }]);
    const found = await measure('cpu', {}, { catalogue: doubled });
    expect(found.map((m) => m.instance)).toEqual(['', ' #2']);
  });
});
