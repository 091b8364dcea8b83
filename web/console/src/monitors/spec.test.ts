import { expect, test } from 'vitest';
import type { MonitorSpec } from '@/api/types';
import { copyOf, statName, withGroupBy, withoutColumn, withRenamedColumn } from './spec';

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
