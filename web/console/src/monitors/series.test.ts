import { expect, test } from 'vitest';
import { chartLine, collected, latestFigure, marksByStep, stepFor, stretches } from './series';

const at = (minute: number) => new Date(Date.UTC(2026, 0, 31, 12, minute)).toISOString();
const ms = (minute: number) => Date.parse(at(minute));

test('steps keep a chart readable', () => {
  expect(stepFor(3_600_000).text).toBe('1m');
  expect(stepFor(86_400_000).text).toBe('5m');
  expect(stepFor(21 * 86_400_000).text).toBe('6h');
  expect(stepFor(5 * 365 * 86_400_000).text).toBe('1d');
});

test('a step is as incomplete as its worst minute', () => {
  expect(
    marksByStep(
      [
        { time: at(0), state: 'complete' },
        { time: at(1), state: 'partial', missing: ['a'], missingCount: 7 },
        { time: at(2), state: 'revised' },
        { time: at(5), state: 'complete' },
      ],
      300_000,
    ),
  ).toEqual([
    { time: ms(0), state: 'partial', missing: ['a'], missingCount: 7 },
    { time: ms(5), state: 'complete', missing: [], missingCount: 0 },
  ]);
});

test('a complete minute without lines counts 0; other figures and partial minutes are gaps', () => {
  const series = { keys: {}, points: [{ time: at(1), values: { count: 3, avg: 2 } }] };
  const marks = marksByStep([{ time: at(0), state: 'complete' }, { time: at(1), state: 'complete' }, { time: at(2), state: 'partial' }], 60_000);
  expect(chartLine(series, 'count', 'lines', marks)).toEqual([[ms(0), 0], [ms(1), 3], [ms(2), null]]);
  expect(chartLine(series, 'avg', 'avg', marks)).toEqual([[ms(0), null], [ms(1), 2], [ms(2), null]]);
});

test('points without a mark are still shown', () => {
  expect(chartLine({ keys: {}, points: [{ time: at(1), values: { n: 1 } }] }, 'n', 'lines', [])).toEqual([[ms(1), 1]]);
});

test('a minute is not collected yet only before the first that was', () => {
  const marks = marksByStep([0, 1, 2, 3, 4].map((minute) => ({ time: at(minute), ...(minute === 3 ? { state: 'complete' as const } : { state: 'never' as const, reason: 'nobody_expected' as const }) })), 60_000);
  const from = (minutes: number[]) => collected(marks, [{ keys: {}, points: minutes.map((minute) => ({ time: at(minute), values: { n: 1 } })) }]).map(({ time }) => (time - ms(0)) / 60_000);
  expect(from([])).toEqual([3, 4]);
  expect(from([1])).toEqual([1, 2, 3, 4]);
  expect(collected(marks.slice(0, 2), [])).toEqual([]);
});

test('equal neighbours make one stretch', () => {
  const marks = marksByStep([0, 1, 2, 4].map((minute) => ({ time: at(minute), state: minute === 2 ? ('partial' as const) : ('complete' as const) })), 60_000);
  expect(stretches(marks, 60_000).map(({ from, to, state }) => [(to - from) / 60_000, state])).toEqual([[2, 'complete'], [1, 'partial'], [1, 'complete']]);
});

test('the latest figure is of the newest minute that can be trusted', () => {
  const series = { keys: {}, points: [{ time: at(1), values: { n: 1 } }, { time: at(2), values: { n: 0.5 } }] };
  const marks = marksByStep([{ time: at(1), state: 'complete' }, { time: at(2), state: 'partial' }], 60_000);
  expect(latestFigure(series, marks)).toMatchObject({ time: ms(1), values: { n: 1 } });
  expect(latestFigure(undefined, [])).toBeUndefined();
});
