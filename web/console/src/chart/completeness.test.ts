import { expect, test } from 'vitest';
import type { Completeness } from '@/api/types';
import { marksOf, marksOfRuns, shownAs, stretches } from './completeness';

const MINUTE = 60_000;
const START = Date.UTC(2026, 0, 31, 12);
const at = (minute: number) => new Date(START + minute * MINUTE).toISOString();

/** One letter a minute: c complete, r revised, m an agent missing, o in progress, n nobody expected, b begun later, l lost. */
const told = (letters: string): Completeness[] =>
  Array.from(letters, (letter, minute) => {
    const time = at(minute);
    if (letter === 'm') return { time, state: 'partial', missing: ['a1'], missingCount: 1 };
    if (letter === 'n') return { time, state: 'never', reason: 'nobody_expected' };
    if (letter === 'b') return { time, state: 'never', reason: 'not_collected', missing: ['a1'], missingCount: 1 };
    if (letter === 'l') return { time, state: 'never', reason: 'lost', missing: ['a1'] };
    return { time, state: ({ c: 'complete', r: 'revised', o: 'in_progress' } as const)[letter] ?? 'partial' };
  });

test('only what somebody fails to tell warns: neither the minute in progress nor one that nobody was to collect', () => {
  expect(marksOf(told('nlcrmo')).map(shownAs)).toEqual(['uncollected', 'lost', 'complete', 'revised', 'missing', 'open']);
});

test('the first minute of a monitor is not lost: agents had yet to hear of it', () => {
  const shown = (letters: string) => marksOf(told(letters)).map((mark) => shownAs(mark).at(0)).join('');
  expect(shown('nnbco')).toBe('uuuco');
  expect(marksOf(told('nb'))[1]).toMatchObject({ missing: [], missingCount: 0 });
  // Who begins later than that was away; so was who was expected before, or after a pause.
  expect(shown('nbbc')).toBe('uulc');
  expect(shown('bc')).toBe('lc');
  expect(shown('ncnbc')).toBe('uculc');
  expect(shown('nlb')).toBe('ull');
});

test('by the second that may be several', () => {
  const seconds = Array.from('nnbbc', (letter, second): Completeness => ({ time: new Date(START + second * 1000).toISOString(), ...(letter === 'c' ? { state: 'complete' } : { state: 'never', reason: letter === 'n' ? 'nobody_expected' : 'not_collected' }) }));
  expect(marksOf(seconds).map(shownAs)).toEqual(['uncollected', 'uncollected', 'uncollected', 'uncollected', 'complete']);
});

test('who is missing is counted, named or not', () => {
  expect(marksOf(told('ml')).map(({ missing, missingCount }) => [missing, missingCount])).toEqual([[['a1'], 1], [['a1'], 1]]);
});

test('runs of a series count where they cover a window, else the whole', () => {
  const whole = marksOf(told('cmmc'));
  const run = (until: number) => marksOfRuns([{ time: at(1), state: 'complete', until: at(until) }], whole).map(({ state }) => state);
  expect(run(3)).toEqual(['complete', 'complete', 'complete', 'complete']);
  expect(run(2)).toEqual(['complete', 'complete', 'partial', 'complete']);
  const begins = marksOfRuns([{ time: at(0), state: 'never', reason: 'nobody_expected', until: at(1) }, { time: at(1), state: 'never', reason: 'not_collected', until: at(2) }], whole);
  expect(begins.map(shownAs)).toEqual(['uncollected', 'uncollected', 'missing', 'complete']);
});

test('equal neighbours make one stretch; a gap, or another agent, makes two', () => {
  const marks = marksOf([...told('ccmc'), { time: at(6), state: 'complete' }]);
  expect(stretches(marks, MINUTE).map(({ from, until, mark }) => [(until - from) / MINUTE, mark.state])).toEqual([[2, 'complete'], [1, 'partial'], [1, 'complete'], [1, 'complete']]);
});
