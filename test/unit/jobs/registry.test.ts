import { expect, test } from 'vitest';
import { queueNames } from '../../../src/jobs/engine/define.ts';
import { registry } from '../../../src/jobs/registry.ts';

test('the promised job types can be started; probes belong to their parent', () => {
  expect(registry.jobTypes()).toEqual([
    'client.onboard',
    'health.check',
    'history.rollup',
    'alert.notify',
    'report.generate',
    'report.send',
  ]);
  expect(registry.any('health.probe')?.kind).toBe('child');
  expect(registry.job('health.probe')).toBeUndefined();
});

test.each(registry.jobTypes())('%s states a policy that can work', (type) => {
  const definition = registry.job(type);
  expect(queueNames).toContain(definition?.queue);
  expect(definition?.attempts).toBeGreaterThan(1);
  expect(definition?.timeoutMs).toBeGreaterThan(0);
});
