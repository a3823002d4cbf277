import { defineEntity, p } from '@mikro-orm/sqlite';
import { ClientEntity } from '../client.ts';
import { DeviceEntity } from '../device.ts';
import type { AppliedLimits, CheckValue, Status } from './check.ts';

/**
 * How one thing stands that is checked on a device: its newest result and what that came from. See Standing. `spanFrom`
 * is when the present stretch of one state began, in ms since the epoch. A thing that is checked no longer is retired:
 * its history stays.
 */
export const CheckStateEntity = defineEntity({
  name: 'CheckState',
  tableName: 'check_states',
  properties: {
    id: p.integer().primary().autoincrement(),
    client: () => p.manyToOne(ClientEntity).mapToPk().deleteRule('cascade').index(false),
    device: () => p.manyToOne(DeviceEntity).mapToPk().deleteRule('cascade').index(false),
    check: p.string().fieldName('check_name'),
    instance: p.string(),
    status: p.string().$type<Status>(),
    hard: p.string().$type<Status>(),
    tries: p.integer(),
    since: p.string(),
    at: p.string(),
    holdUntil: p.string(),
    message: p.string(),
    vals: p.json<CheckValue[]>(),
    limits: p.json<AppliedLimits>().nullable(),
    ms: p.double(),
    changes: p.integer(),
    flapping: p.integer(),
    unreachable: p.integer(),
    known: p.integer(),
    spanFrom: p.integer(),
    retiredAt: p.string().nullable(),
    alertId: p.string().nullable(),
  },
  uniques: [{ properties: ['device', 'check', 'instance'] }],
  indexes: [{ properties: ['client'] }],
});

/** A stretch of time, in ms since the epoch, in which a thing was in one state; what lies between two is a gap. */
export const StateSpanEntity = defineEntity({
  name: 'StateSpan',
  tableName: 'state_spans',
  properties: {
    state: () => p.manyToOne(CheckStateEntity).mapToPk().primary().deleteRule('cascade').index(false),
    fromMs: p.integer().primary(),
    untilMs: p.integer(),
    status: p.string(),
    message: p.string(),
  },
});

/** The raw results of one run over a client's devices, compressed; see history/runs.ts. `at` is in ms since the epoch. */
export const CheckRunEntity = defineEntity({
  name: 'CheckRun',
  tableName: 'check_runs',
  properties: {
    jobId: p.string().primary(),
    part: p.integer().primary(),
    client: () => p.manyToOne(ClientEntity).mapToPk().deleteRule('cascade').index(false),
    at: p.integer(),
    data: p.blob(),
  },
  indexes: [{ properties: ['client', 'at'] }],
});

/** A value of a thing, as its rolled-up history knows it. */
export const CheckMetricEntity = defineEntity({
  name: 'CheckMetric',
  tableName: 'check_metrics',
  properties: {
    id: p.integer().primary().autoincrement(),
    state: () => p.manyToOne(CheckStateEntity).mapToPk().deleteRule('cascade').index(false),
    name: p.string(),
    unit: p.string().nullable(),
  },
  uniques: [{ properties: ['state', 'name'] }],
});

/**
 * Values of a client's things, rolled up and compressed, from `startMs` to `untilMs`; see history/block.ts. A block holds
 * the metrics with ids from `firstMetric` to `lastMetric`.
 */
export const RollupEntity = defineEntity({
  name: 'Rollup',
  tableName: 'rollups',
  properties: {
    id: p.integer().primary().autoincrement(),
    client: () => p.manyToOne(ClientEntity).mapToPk().deleteRule('cascade').index(false),
    level: p.string(),
    startMs: p.integer(),
    untilMs: p.integer(),
    part: p.integer(),
    firstMetric: p.integer(),
    lastMetric: p.integer(),
    data: p.blob(),
  },
  uniques: [{ properties: ['client', 'level', 'startMs', 'part'] }],
});

/** How far a client's history has been rolled up, in ms since the epoch. */
export const HistoryCursorEntity = defineEntity({
  name: 'HistoryCursor',
  tableName: 'history_cursors',
  properties: {
    client: () => p.manyToOne(ClientEntity).mapToPk().primary().deleteRule('cascade').index(false),
    hourUntilMs: p.integer(),
    dayUntilMs: p.integer(),
  },
});
