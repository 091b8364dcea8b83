import { expect, test } from 'vitest';
import type { CompletenessState, Windows } from '@/api/types';
import { marksOf } from '@/chart/completeness';
import { axisOf, chartSeries, figureRows, hasBegun, latestByKey, latestFigure, longerStep, statSeries, stepFor, writer } from './figures';

const at = (minute: number) => new Date(Date.UTC(2026, 0, 31, 12, minute)).toISOString();
const ms = (minute: number) => Date.parse(at(minute));
const COUNT = { name: 'count', fn: 'lines' as const };
const AVG = { name: 'avg', fn: 'avg' as const };
const LETTERS: Record<string, CompletenessState> = { c: 'complete', r: 'revised', m: 'partial', o: 'in_progress', n: 'never', b: 'never' };

/** Windows with a letter of completeness for each minute, and the points of each key. */
function windows(letters: string, series: [key: string, points: [minute: number, count: number, avg?: number][]][], by: string[] = []): Windows {
  return {
    by,
    stats: ['count', 'avg'],
    truncated: false,
    blind: [],
    completeness: Array.from(letters, (letter, minute) => ({ time: at(minute), state: LETTERS[letter] ?? 'partial', ...(letter === 'm' ? { missing: ['a1'], missingCount: 1 } : {}), ...(letter === 'n' ? { reason: 'nobody_expected' as const } : {}), ...(letter === 'b' ? { reason: 'not_collected' as const } : {}) })),
    series: series.map(([key, points]) => ({ keys: by[0] ? { [by[0]]: key } : {}, points: points.map(([minute, count, avg = null]) => ({ time: at(minute), values: { count, avg } })) })),
  };
}
const marks = (of: Windows) => marksOf(of.completeness);
const line = (of: Windows, stat: typeof COUNT | typeof AVG) => chartSeries(of, stat, marks(of)).map(({ points }) => points.map(({ value }) => value));

test('steps keep a chart readable', () => {
  expect(stepFor(3_600_000).text).toBe('1m');
  expect(stepFor(86_400_000).text).toBe('5m');
  expect(stepFor(21 * 86_400_000).text).toBe('6h');
  expect(stepFor(5 * 365 * 86_400_000).text).toBe('1d');
});

test('what is not kept as fine is looked for in the next longer roll-up', () => {
  expect([1000, 60_000, 300_000, 3_600_000, 21_600_000, 86_400_000].map((ms) => longerStep(ms)?.text)).toEqual(['1m', '1h', '1h', '1d', '1d', undefined]);
});

test('zeros are figures, on the line and in the table; a window without any is a gap', () => {
  const quiet = windows('cccm', [['', [[0, 0], [1, 0], [2, 3, 2]]]]);
  expect(line(quiet, COUNT)).toEqual([[0, 0, 3, null]]);
  expect(line(quiet, AVG)).toEqual([[null, null, 2, null]]);
  expect(figureRows(quiet, marks(quiet)).map(({ time, values, mark }) => [(time - ms(0)) / 60_000, values['count'], mark?.state])).toEqual([[2, 3, 'complete'], [1, 0, 'complete'], [0, 0, 'complete']]);
});

test('points without a mark are still shown', () => {
  expect(line(windows('', [['', [[1, 5]]]]), COUNT)).toEqual([[5]]);
});

test('a series has its own completeness where it is of one agent', () => {
  const hosts = windows('cmm', [['h1', [[0, 3], [1, 5], [2, 0]]], ['h2', [[0, 4]]]], ['$host']);
  Object.assign(hosts.series[0] ?? {}, { completeness: [{ time: at(0), until: at(3), state: 'complete' }] });
  expect(chartSeries(hosts, COUNT, marks(hosts)).map(({ points }) => points.map(({ mark }) => mark?.state))).toEqual([['complete', 'complete', 'complete'], ['complete', 'partial', 'partial']]);
  expect(figureRows(hosts, marks(hosts)).map(({ keys, mark }) => `${keys['$host'] ?? ''} ${mark?.state ?? ''}`)).toEqual(['h1 complete', 'h1 complete', 'h1 complete', 'h2 complete']);
  expect(latestByKey(hosts, 'count', marks(hosts)).map(({ keys, values }) => [keys['$host'], values['count']])).toEqual([['h2', 4], ['h1', 0]]);
});

test('one column kept apart is named by its value, several by both', () => {
  const named = (keys: Record<string, string>) => {
    const of = windows('c', [['x', [[0, 1]]]], ['goods']);
    Object.assign(of.series[0] ?? {}, { keys });
    return chartSeries(of, COUNT, marks(of))[0]?.name;
  };
  expect(named({ goods: '香蕉' })).toBe('香蕉');
  expect(named({ goods: 'a', $host: 'b' })).toBe('goods=a, $host=b');
  expect(named({ goods: '' })).toBe('count');
});

test('the latest figure is of the newest whole minute; what a newer one lacks is said', () => {
  const latest = (letters: string, points: [number, number][]) => {
    const of = windows(letters, [['', points]]);
    return latestFigure(of, marks(of));
  };
  expect(latest('cco', [[1, 7], [2, 1]])).toMatchObject({ time: ms(1), values: { count: 7 }, behind: undefined });
  expect(latest('cmo', [[0, 7], [1, 3]])).toMatchObject({ time: ms(0), values: { count: 7 }, behind: { state: 'partial', missing: ['a1'] } });
  expect(latest('mmo', [[1, 3]])).toMatchObject({ time: ms(1), values: { count: 3 }, mark: { state: 'partial' } });
  expect(latest('co', [[0, 0]])).toMatchObject({ values: { count: 0 } });
  expect(latest('o', [[0, 3]])).toBeUndefined();
});

test('a monitor has begun once any minute was told of', () => {
  expect(hasBegun(marks(windows('o', [['', [[0, 1]]]])))).toBe(false);
  expect(hasBegun(marks(windows('nn', [])))).toBe(false);
  // Its first minute, which agents heard of too late, is no figure that was told: the count-down goes on.
  expect(hasBegun(marks(windows('nnbo', [])))).toBe(false);
  expect(hasBegun(marks(windows('nm', [])))).toBe(true);
  expect(hasBegun(marks(windows('nc', [])))).toBe(true);
});

test('seconds are charted by the second where that can be read', () => {
  expect(stepFor(300_000, 1000).text).toBe('1s');
  expect(stepFor(3_600_000, 1000).text).toBe('15s');
  expect(stepFor(300_000).text).toBe('1m');
});

test('a service is a chart of its counts; its rate is in per cent, and of a silent minute there is none', () => {
  const service = windows('cc', [['', []]]);
  const zeros = { total: 0, failure: 0, rate: null };
  Object.assign(service.series[0] ?? {}, { points: [0, 1].map((minute) => ({ time: at(minute), values: zeros })) });
  const stats = [{ name: 'total', fn: 'lines' as const }, { name: 'failure', fn: 'failure' as const }, { name: 'rate', fn: 'success_rate' as const }];
  expect(statSeries(service, stats, marks(service)).map(({ id, tone, points }) => [id, tone, points.map(({ value }) => value)])).toEqual([['', undefined, [0, 0]], ['failure', 'bad', [0, 0]], ['rate', undefined, [null, null]]]);
  expect(stats.map(axisOf)).toEqual([{ whole: true }, { whole: true }, { max: 100, fit: true }]);
  expect(writer({ name: 'rate', fn: 'success_rate' }, 'en-US')(99.5)).toBe('99.5%');
  expect(writer({ name: 'rate', fn: 'success_rate' }, 'en-US')(null)).toBe('–');
});
