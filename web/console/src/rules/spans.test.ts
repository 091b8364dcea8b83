import { expect, test } from 'vitest';
import { conditionText, spanMinutes, takeFrom, takeOf, takesOf } from './spans';

test('lengths of time', () => {
  expect(spanMinutes('5m')).toBe(5);
  expect(spanMinutes('90s')).toBe(1.5);
  expect(spanMinutes('1h30m')).toBeUndefined();
  expect(spanMinutes('1d')).toBe(1440);
  expect(spanMinutes('soon')).toBeUndefined();
  expect(spanMinutes(undefined)).toBeUndefined();
});

test('what is taken goes to the form and back', () => {
  for (const take of [{ now: {} }, { sum: '5m' }, { avg: '10m' }, { min: '1m' }, { max: '1h' }]) {
    const { type, span } = takeOf(take);
    expect(takeFrom(type, span ?? '')).toEqual(take);
  }
  expect(takeOf(undefined)).toEqual({ type: 'now', span: undefined });
});

test('what makes no sense of a monitor is not offered', () => {
  expect(takesOf('minute', 'lines')).toEqual(['now', 'sum', 'avg', 'min', 'max']);
  expect(takesOf('second', 'lines')).toEqual(['sum', 'avg', 'min', 'max']);
  expect(takesOf('second_multi_key', 'avg')).toEqual(['avg', 'min', 'max']);
  expect(takesOf('service_metrics', 'success_rate')).toEqual(['now', 'avg', 'min', 'max']);
  expect(takesOf(undefined, undefined)).toHaveLength(5);
});

test('conditions as people read them', () => {
  expect(conditionText({ field: 'cost_avg', op: '>', threshold: 100 })).toBe('cost_avg > 100');
  expect(conditionText({ field: 'count', take: { sum: '5m' }, op: '<=', threshold: 3 })).toBe('sum(count, 5m) <= 3');
});
