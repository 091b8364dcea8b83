import { expect, test } from 'vitest';
import type { MonitorSpec, Resource } from '@/api/types';
import { conditionOf, isBlind, needsALook } from './condition';

const monitor = (more: Partial<MonitorSpec>): Resource<MonitorSpec> => ({ kind: 'Monitor', metadata: { name: 'm', updatedAt: '2026-01-31T12:00:30Z' }, spec: { type: 'minute', source: { log: { paths: [] } }, ...more } });
const EARLY = Date.parse('2026-01-31T12:01:00Z');
const LATE = Date.parse('2026-01-31T13:00:00Z');

test('it is what the server says, but of a monitor that has only begun or is off', () => {
  expect((['reading', 'quiet', 'no_file', 'no_agent', undefined] as const).map((state) => conditionOf(monitor({}), state, LATE))).toEqual(['reading', 'quiet', 'no_file', 'no_agent', undefined]);
  // Enabled a moment ago, it is still told to be off.
  expect((['reading', 'quiet', 'no_file', 'off', undefined] as const).map((state) => conditionOf(monitor({}), state, EARLY))).toEqual(['reading', 'starting', 'starting', 'starting', 'starting']);
  expect(conditionOf(monitor({ enabled: false }), 'no_file', LATE)).toBe('off');
  expect(conditionOf(monitor({ enabled: false }), undefined, EARLY)).toBe('off');
});

test('who reads little or nothing is to be looked at; a quiet one, and one that is off, is not', () => {
  expect((['reading', 'quiet', 'off', 'starting', undefined] as const).map(needsALook)).toEqual([false, false, false, false, false]);
  expect((['no_file', 'not_understood', 'hardly_understood', 'not_numbers', 'no_agent'] as const).map(needsALook)).toEqual([true, true, true, true, true]);
  expect((['no_file', 'not_understood', 'hardly_understood', 'no_agent'] as const).map(isBlind)).toEqual([true, true, false, false]);
});
