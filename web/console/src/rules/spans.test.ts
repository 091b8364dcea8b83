import { expect, test } from 'vitest';
import { conditionText, spanMinutes, takeFrom, takeOf } from './spans';

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

test('conditions as people read them', () => {
  expect(conditionText({ field: 'cost_avg', op: '>', threshold: 100 })).toBe('cost_avg > 100');
  expect(conditionText({ field: 'count', take: { sum: '5m' }, op: '<=', threshold: 3 })).toBe('sum(count, 5m) <= 3');
});
