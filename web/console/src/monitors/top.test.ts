import { expect, test } from 'vitest';
import type { TopItem, TopWindow, Windows } from '@/api/types';
import { isCertain, latestTop, topSeries, withError } from './top';

const item = (url: string, count: number, error = 0): TopItem => ({ keys: { url }, values: { count }, ...(error > 0 ? { errors: { count: error } } : {}) });
const time = (minute: number) => `2026-01-31T12:0${minute}:00Z`;
const top = (minute: number, items: TopItem[], more: Partial<TopWindow> = {}): TopWindow => ({ time: time(minute), exact: true, errors: { count: 0 }, absentAtMost: 0, keysKept: items.length, items, ...more });
const windows = (...all: TopWindow[]): Windows => ({
  by: [], stats: ['count'], series: [], truncated: false, blind: [],
  completeness: all.map((one, n) => ({ time: one.time, state: n + 1 < all.length ? 'complete' as const : 'in_progress' as const })),
  top: { groupBy: ['url'], rankedBy: 'count', windows: all, truncated: false },
});

test('the newest whole window is shown first', () => {
  const all = [top(1, [item('/a', 3)]), top(2, [item('/b', 2)]), top(3, [item('/c', 1)])];
  expect(latestTop(windows(...all))?.time).toBe(time(2));
  expect(latestTop(windows(top(3, [])))?.time).toBe(time(3));
  expect(latestTop(windows())).toBeUndefined();
});

test('the greatest keys of a window are the lines of its chart, with gaps where they were not among them', () => {
  const last = top(3, [item('/a', 4), item('/b', 2)]);
  const all = [top(1, [item('/a', 9), item('/old', 5)]), top(2, [item('/b', 7)]), last];
  const shown = topSeries(windows(...all), last);
  expect(shown.by).toEqual(['url']);
  expect(shown.series.map(({ keys, points }) => [keys['url'], points.map((point) => [point.time, point.values['count']])])).toEqual([
    ['/a', [[time(1), 9], [time(3), 4]]],
    ['/b', [[time(2), 7], [time(3), 2]]],
  ]);
});

test('a figure that is not exact is a range', () => {
  expect(withError(item('/a', 1234), 'count', 'en-US')).toBe('1,234');
  expect(withError(item('/a', 1234, 12), 'count', 'en-US')).toBe('1,222 – 1,234');
  expect(withError(item('/a', 1234), 'cost_avg', 'en-US')).toBe('–');
});

test('a key is among the greatest for sure when none that is not kept can have more', () => {
  const window = top(1, [], { exact: false, absentAtMost: 30 });
  expect(isCertain(window, item('/a', 40, 10), 'count')).toBe(true);
  expect(isCertain(window, item('/a', 39, 10), 'count')).toBe(false);
  expect(isCertain({ ...window, exact: true }, item('/a', 1), 'count')).toBe(true);
});
