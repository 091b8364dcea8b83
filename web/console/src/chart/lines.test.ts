import { expect, test } from 'vitest';
import type { WindowMark } from './completeness';
import { linesOf } from './lines';
import type { ChartPoint } from './model';

const MARKS: Record<string, Pick<WindowMark, 'state' | 'reason'>> = {
  c: { state: 'complete', reason: undefined },
  m: { state: 'partial', reason: undefined },
  o: { state: 'in_progress', reason: undefined },
  n: { state: 'never', reason: 'nobody_expected' },
};

/** `c5 c- o2`: completeness and figure of each window. */
const points = (text: string): ChartPoint[] =>
  text.split(' ').map((word, time) => ({ time, value: word.slice(1) === '-' ? null : Number(word.slice(1)), mark: { time, missing: [], missingCount: 0, state: 'complete', reason: undefined, ...MARKS[word.charAt(0)] } }));

const values = (pairs: [number, number | null][]) => pairs.map(([, value]) => value);

test('the line ends at the last whole window: the one in progress does not pull it down', () => {
  const lines = linesOf(points('c50 c52 c51 o3'));
  expect(values(lines.solid)).toEqual([50, 52, 51, null]);
  expect(values(lines.dashed)).toEqual([null, null, null, null]);
  expect(values(lines.open)).toEqual([null, null, null, 3]);
});

test('what lacks something is dashed, and joined to what is whole', () => {
  const lines = linesOf(points('c50 m20 m21 c51 c52'));
  expect(values(lines.solid)).toEqual([50, null, null, 51, 52]);
  expect(values(lines.dashed)).toEqual([50, 20, 21, 51, null]);
});

test('a point that no line reaches is known, at the edges and between gaps and beside an open one', () => {
  expect([...linesOf(points('c1 c- c3 c4 c- c6')).alone]).toEqual([0, 5]);
  expect([...linesOf(points('c7')).alone]).toEqual([0]);
  expect([...linesOf(points('c7 o2')).alone]).toEqual([0]);
  expect([...linesOf(points('c7 m2 c-')).alone]).toEqual([]);
});

test('a first window that began half-way stands apart, as one in progress', () => {
  const lines = linesOf(points('n4 c9 c9'));
  expect(values(lines.open)).toEqual([4, null, null]);
  expect(values(lines.solid)).toEqual([null, 9, 9]);
});
