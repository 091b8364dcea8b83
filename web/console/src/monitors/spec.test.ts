import { expect, test } from 'vitest';
import type { MonitorSpec, Stat } from '@/api/types';
import { copyOf, familyOf, functionsOf, statName, withFamily, withGroupBy, withoutColumn, withRenamedColumn, withService, withStats } from './spec';

const SPEC: MonitorSpec = {
  type: 'minute_multi_key',
  source: { log: { paths: [{ path: '/a.log' }] } },
  columns: [
    { name: 'goods', pick: { split: { by: ',', index: 2 } } },
    { name: 'cost', pick: { split: { by: ',', index: 5 } }, number: true },
  ],
  filter: { include: [{ column: 'goods', in: ['a'] }], exclude: [{ column: 'cost', in: ['0'] }] },
  group_by: ['goods', '$host'],
  stats: [{ name: 'count', fn: 'lines' }, { name: 'cost_avg', fn: 'avg', column: 'cost' }],
};

test('a column is renamed wherever it is named', () => {
  const renamed = withRenamedColumn(SPEC, 0, 'item');
  expect(renamed.columns?.[0]?.name).toBe('item');
  expect(renamed.group_by).toEqual(['item', '$host']);
  expect(renamed.filter?.include?.[0]?.column).toBe('item');
  expect(withRenamedColumn(SPEC, 1, 'ms').stats?.[1]?.column).toBe('ms');
});

test('a column goes with all that is about it', () => {
  const left = withoutColumn(SPEC, 1);
  expect(left.stats).toEqual([{ name: 'count', fn: 'lines' }]);
  expect(left.filter?.exclude).toEqual([]);
  expect(left.group_by).toEqual(['goods', '$host']);
});

test('the type follows the grouping', () => {
  expect(withGroupBy(SPEC, [])).toMatchObject({ type: 'minute' });
  expect('group_by' in withGroupBy(SPEC, [])).toBe(false);
  expect(withGroupBy(withGroupBy(SPEC, []), ['goods'])).toMatchObject({ type: 'minute_multi_key', group_by: ['goods'] });
});

test('statistics are named after what they are of', () => {
  expect(statName({ fn: 'avg', column: 'cost' }, [])).toBe('cost_avg');
  expect(statName({ fn: 'lines' }, ['count'])).toBe('count_2');
});

test('a copy gets a free name and nothing that the server set', () => {
  const copy = copyOf({ kind: 'Monitor', metadata: { name: 'trade', version: 4, uid: 'u', folder: 'a' }, spec: SPEC }, ['trade', 'trade-copy']);
  expect(copy.metadata).toEqual({ name: 'trade-copy-2', folder: 'a', displayName: undefined, labels: undefined });
});

test('seconds are grouped as minutes are; other types stay themselves', () => {
  expect(withFamily(SPEC, 'second').type).toBe('second_multi_key');
  expect(withGroupBy(withFamily(SPEC, 'second'), []).type).toBe('second');
  expect(withGroupBy(withFamily(SPEC, 'service_metrics'), []).type).toBe('service_metrics');
  expect(withGroupBy(withFamily(SPEC, 'minute_top'), ['goods']).type).toBe('minute_top');
  expect((['minute', 'minute_multi_key', 'second', 'second_multi_key', 'service_metrics', 'minute_top'] as const).map(familyOf)).toEqual(['minute', 'minute', 'second', 'second', 'service_metrics', 'minute_top']);
});

test('service metrics have statistics of their own, and give none of them away', () => {
  const service = withFamily(SPEC, 'service_metrics');
  expect(service).toMatchObject({ service: { result: 'goods', success: ['Y'], cost: 'cost' }, group_by: ['goods', '$host'] });
  expect('stats' in service).toBe(false);
  // As the server answers it.
  const answered = { ...service, stats: [{ name: 'total', fn: 'lines' as const }, { name: 'success', fn: 'success' as const }] };
  expect(withFamily(answered, 'minute')).toMatchObject({ type: 'minute_multi_key', stats: [{ name: 'count', fn: 'lines' }] });
  expect('service' in withFamily(answered, 'minute')).toBe(false);
  const changed = withService(answered, { cost: undefined });
  expect(changed.service).toEqual({ result: 'goods', success: ['Y'] });
  expect('stats' in changed).toBe(false);
});

test('the columns of a service follow what becomes of them', () => {
  const service = withFamily(SPEC, 'service_metrics');
  expect(withRenamedColumn(service, 1, 'ms').service?.cost).toBe('ms');
  expect(withRenamedColumn(service, 0, 'outcome').service?.result).toBe('outcome');
  expect(withoutColumn(service, 1).service).toEqual({ result: 'goods', success: ['Y'] });
  expect(withoutColumn(service, 0).service?.result).toBe('');
  expect('stats' in withoutColumn(service, 1)).toBe(false);
});

test('a Top is by one of its statistics', () => {
  const top = withFamily({ ...SPEC, stats: [{ name: 'ms', fn: 'avg', column: 'cost' }] }, 'minute_top');
  // An average cannot be ranked by.
  expect(top).toMatchObject({ type: 'minute_top', top: { n: 10, by: 'count' }, group_by: ['goods', '$host'], stats: [{ name: 'count', fn: 'lines' }, { name: 'ms', fn: 'avg', column: 'cost' }] });
  expect('limits' in withFamily({ ...SPEC, limits: { max_keys: 5 } }, 'minute_top')).toBe(false);
  const mixed = withFamily({ ...SPEC, stats: [{ name: 'worst', fn: 'max', column: 'cost' }, { name: 'size', fn: 'sum', column: 'size' }, { name: 'ms', fn: 'avg', column: 'cost' }] }, 'minute_top');
  expect(mixed).toMatchObject({ stats: [{ name: 'size' }], top: { by: 'size' } });
  expect('top' in withFamily(top, 'second')).toBe(false);
});

test('a Top stays ranked by the statistic it was, whatever becomes of that', () => {
  const stats: Stat[] = [{ name: 'count', fn: 'lines' }, { name: 'cost_sum', fn: 'sum', column: 'cost' }];
  const top: MonitorSpec = { ...SPEC, type: 'minute_top', stats, top: { n: 5, by: 'cost_sum' } };
  const by = (next: Stat[]) => withStats(top, next).top?.by;
  expect(by([{ name: 'count', fn: 'lines' }, { name: 'total', fn: 'sum', column: 'cost' }])).toBe('total');
  expect(by([{ name: 'count', fn: 'lines' }, { name: 'cost_avg', fn: 'avg', column: 'cost' }])).toBe('count');
  expect(by([{ name: 'cost_sum', fn: 'sum', column: 'cost' }])).toBe('cost_sum');
  expect(by([{ name: 'count', fn: 'lines' }])).toBe('count');
  expect(withoutColumn(top, (SPEC.columns ?? []).findIndex(({ name }) => name === 'cost')).top).toEqual({ n: 5, by: 'count' });
  expect(functionsOf('minute_top', ['lines', 'sum', 'avg', 'min', 'max'])).toEqual(['lines', 'sum', 'avg']);
});
