import { expect, test } from 'vitest';
import { alertStates, severities } from '../../../src/domain/alert/alert.ts';
import { clientStatuses, tiers } from '../../../src/domain/client.ts';
import { deviceTypes } from '../../../src/domain/device.ts';
import { jobStates, retryStates } from '../../../src/domain/job.ts';
import { reportFormats } from '../../../src/domain/report.ts';
import { misfires, overlaps } from '../../../src/domain/schedule.ts';
import { catalogue } from '../../../src/workers/probes/index.ts';
import { jsonObject, listOf, optionChoices, positiveInteger } from '../../../src/entry/cli/options.ts';

test('the command line offers what the domain knows', () => {
  expect(optionChoices).toEqual({
    tiers,
    clientStatuses,
    deviceTypes,
    reportFormats,
    checkNames: catalogue.map((type) => type.name),
    severities,
    alertStates: [...alertStates, 'all'],
    historyLevels: ['result', 'minute', 'hour', 'day'],
    jobStates,
    retryStates,
    misfires,
    overlaps,
  });
});

test.each(['0', '-1', '1.5', 'x', ''])('%j is no positive whole number', (text) => {
  expect(() => positiveInteger(text)).toThrow('whole number');
});

test.each(['[]', '"x"', '{', 'null'])('%s is no JSON object', (text) => {
  expect(() => jsonObject(text)).toThrow('JSON object');
});

test('a list names what it does not know', () => {
  expect(listOf('checkNames')('cpu, disk')).toEqual(['cpu', 'disk']);
  expect(() => listOf('checkNames')('cpu,gpu')).toThrow('"gpu" is not known');
});
