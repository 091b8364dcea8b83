import { expect, test } from 'vitest';
import type { BlindWindow } from '@/api/types';
import { blindAt, blindStretches } from './blind';

const MINUTE = 60_000;
const at = (minute: number, reason: BlindWindow['reason'] = 'no_file'): BlindWindow => ({ time: new Date(minute * MINUTE).toISOString(), reason });
const minutes = (blind: BlindWindow[], from: number, until: number, stepMs = MINUTE) => blindStretches(blind, { from: from * MINUTE, until: until * MINUTE, stepMs }).map((one) => [one.from / MINUTE, one.until / MINUTE, one.reason]);

test('neighbours of one reason are one stretch', () => {
  expect(minutes([at(1, 'not_understood'), at(2, 'not_understood'), at(3), at(5)], 0, 60)).toEqual([[1, 3, 'not_understood'], [3, 4, 'no_file'], [5, 6, 'no_file']]);
  expect(minutes([], 0, 60)).toEqual([]);
});

test('they are as long as the step, but never shorter than a minute, and end with the chart', () => {
  expect(minutes([at(0), at(5), at(15)], 0, 18, 5 * MINUTE)).toEqual([[0, 10, 'no_file'], [15, 18, 'no_file']]);
  expect(minutes([at(0), at(1)], 0.5, 1.25, 5000)).toEqual([[0.5, 1.25, 'no_file']]);
});

test('a window is in a stretch from its start up to its end', () => {
  const found = blindStretches([at(2)], { from: 0, until: 10 * MINUTE, stepMs: MINUTE });
  expect([1, 2, 2.5, 3].map((minute) => blindAt(found, minute * MINUTE) !== undefined)).toEqual([false, true, true, false]);
});
