import { expect, test } from 'vitest';
import type { Completeness } from '@/api/types';
import { marksOf, marksOfRuns, shownAs, stretches } from './completeness';

const MINUTE = 60_000;
const START = Date.UTC(2026, 0, 31, 12);
const at = (minute: number) => new Date(START + minute * MINUTE).toISOString();
const later = START + 1000 * MINUTE;

/** One letter a minute: c complete, r revised, p partial, m partial and an agent missing, o in progress, n never, l lost. */
const told = (letters: string): Completeness[] =>
  Array.from(letters, (letter, minute) => {
    const time = at(minute);
    if (letter === 'm') return { time, state: 'partial', missing: ['a1'], missingCount: 1 };
    if (letter === 'n') return { time, state: 'never', reason: 'nobody_expected' };
    if (letter === 'l') return { time, state: 'never', reason: 'lost', missing: ['a1'], missingCount: 1 };
    return { time, state: ({ c: 'complete', r: 'revised', p: 'partial', o: 'in_progress' } as const)[letter] ?? 'partial' };
  });

const shown = (letters: string, now = later, counted: number[] = []) => marksOf(told(letters), MINUTE, now, new Set(counted.map((minute) => START + minute * MINUTE))).map(shownAs);

test('the minute that is not over is in progress, and so is one that only just ended', () => {
  expect(shown('ccmm', START + 3.5 * MINUTE)).toEqual(['complete', 'complete', 'missing', 'open']);
  expect(shown('ccmm', START + 3 * MINUTE + 14_000)).toEqual(['complete', 'complete', 'open', 'open']);
  expect(shown('ccmo', START + 3.5 * MINUTE)).toEqual(['complete', 'complete', 'missing', 'open']);
});

test('only an agent that is missing warns: before the first minute nobody was', () => {
  expect(shown('pppc')).toEqual(['uncollected', 'uncollected', 'uncollected', 'complete']);
  expect(shown('pppc', later, [2])).toEqual(['uncollected', 'uncollected', 'uncollected', 'complete']);
  expect(shown('ppp')).toEqual(['uncollected', 'uncollected', 'uncollected']);
  expect(shown('mcrm')).toEqual(['missing', 'complete', 'revised', 'missing']);
  expect(shown('nlc')).toEqual(['uncollected', 'lost', 'complete']);
});

test('a minute that lost something although nobody is missing stays a warning', () => {
  expect(shown('cpc')).toEqual(['complete', 'missing', 'complete']);
});

test('runs of a series count where they cover a window, else the whole', () => {
  const whole = marksOf(told('cmmc'), MINUTE, later);
  const run = (until: number) => marksOfRuns([{ time: at(1), state: 'complete', until: at(until) }], whole).map(({ state }) => state);
  expect(run(3)).toEqual(['complete', 'complete', 'complete', 'complete']);
  expect(run(2)).toEqual(['complete', 'complete', 'partial', 'complete']);
});

test('equal neighbours make one stretch; a gap, or another agent, makes two', () => {
  const marks = marksOf([...told('ccmc'), { time: at(6), state: 'complete' }], MINUTE, later);
  expect(stretches(marks, MINUTE).map(({ from, until, mark }) => [(until - from) / MINUTE, mark.state])).toEqual([[2, 'complete'], [1, 'partial'], [1, 'complete'], [1, 'complete']]);
});
