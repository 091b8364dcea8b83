import { expect, test } from 'vitest';
import type { MonitorSpec, Resource } from '@/api/types';
import { readingOf } from './reading';
import { conditionOf, readsNothing } from './ReadingTag';

const report = (files: number, lines: number, faults: Record<string, number> = {}) => ({ monitor: 'm', files, lines, faults, examples: {}, watermark: null });

test('what no host reads, or nobody understands, is told apart from what is quiet', () => {
  expect(readingOf([])).toBe('no_agent');
  expect(readingOf([report(0, 0), report(0, 0)])).toBe('no_file');
  expect(readingOf([report(0, 0), report(1, 0)])).toBe('ok');
  expect(readingOf([report(1, 689, { time_unreadable: 689 })])).toBe('not_understood');
  expect(readingOf([report(1, 10, { time_unreadable: 6, column_missing: 4 })])).toBe('not_understood');
  expect(readingOf([report(1, 10, { time_unreadable: 9 })])).toBe('ok');
  expect(readingOf([report(1, 10, { not_a_number: 10 })])).toBe('not_numbers');
});

test('a condition is not said of a monitor that is off or has only begun', () => {
  const monitor = (more: Partial<MonitorSpec>): Resource<MonitorSpec> => ({ kind: 'Monitor', metadata: { name: 'm', updatedAt: '2026-01-31T12:00:30Z' }, spec: { type: 'minute', source: { log: { paths: [] } }, ...more } });
  const early = Date.parse('2026-01-31T12:01:00Z');
  const late = Date.parse('2026-01-31T13:00:00Z');
  expect(conditionOf(monitor({ enabled: false }), 'no_file', late)).toBe('disabled');
  expect(conditionOf(monitor({}), undefined, early)).toBe('starting');
  expect(conditionOf(monitor({}), 'no_file', early)).toBe('starting');
  expect(conditionOf(monitor({}), 'ok', early)).toBe('ok');
  expect(conditionOf(monitor({}), undefined, late)).toBe('no_agent');
  expect(conditionOf(monitor({}), 'no_file', late)).toBe('no_file');
  expect((['ok', 'starting', 'no_file', 'not_understood'] as const).map(readsNothing)).toEqual([false, false, true, true]);
});
