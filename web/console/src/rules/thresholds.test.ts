import { expect, test } from 'vitest';
import type { AlertRuleSpec, Resource } from '@/api/types';
import { thresholdsOf } from './thresholds';

const rule = (name: string, spec: Partial<AlertRuleSpec>): Resource<AlertRuleSpec> => ({ kind: 'AlertRule', metadata: { name }, spec: { monitor: 'm', conditions: [{ field: 'count', op: '>', threshold: 100 }], ...spec } });
const values = (rules: Resource<AlertRuleSpec>[], by: string[] = []) => thresholdsOf(rules, 'm', 'count', by).map(({ value }) => value);

test('a rule on the figure as it is charted is a line with its level and name', () => {
  expect(thresholdsOf([rule('busy', { level: 'P1' })], 'm', 'count', [])).toEqual([{ value: 100, label: 'P1 busy > 100' }]);
});

test('what judges something else is no height on the chart', () => {
  expect(values([rule('other', { monitor: 'n' }), rule('off', { enabled: false })])).toEqual([]);
  expect(values([rule('keyed', { where: { goods: { any: true } } })])).toEqual([]);
  expect(values([rule('keyed', { where: { goods: { any: true } } })], ['goods'])).toEqual([100]);
  expect(values([rule('total', {})], ['goods'])).toEqual([]);
  expect(values([rule('sum', { conditions: [{ field: 'count', op: '>', threshold: 1, take: { sum: '5m' } }, { field: 'avg', op: '>', threshold: 2 }] })])).toEqual([]);
});
