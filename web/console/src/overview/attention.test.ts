import { expect, test } from 'vitest';
import type { MonitorSpec, Reading, ReadingState, Resource } from '@/api/types';
import { attention } from './attention';

const NOW = Date.parse('2026-01-31T12:00:00Z');
const monitor = (name: string, updatedAt = '2026-01-30T12:00:00Z', enabled = true): Resource<MonitorSpec> => ({ kind: 'Monitor', metadata: { name, updatedAt }, spec: { type: 'minute', source: { log: { paths: [] } }, enabled } });
const told = (states: Record<string, ReadingState>) => new Map(Object.entries(states).map(([name, state]): [string, Reading] => [name, { monitor: name, state, lines: 0, counted: 0, files: 0 }]));

test('those that read nothing come first, then those that wait; healthy, quiet, new and disabled ones not at all', () => {
  const monitors = [monitor('fine'), monitor('quiet'), monitor('waits'), monitor('lost'), monitor('blind'), monitor('babel'), monitor('new', '2026-01-31T11:59:50Z'), monitor('off', undefined, false)];
  const readings = told({ fine: 'reading', quiet: 'quiet', waits: 'reading', lost: 'no_agent', blind: 'no_file', babel: 'hardly_understood', new: 'no_file', off: 'off' });
  const waiting = [{ monitor: 'waits', completeThrough: '2026-01-31T11:00:00Z', missing: ['a3'] }];
  expect(attention(waiting, monitors, readings, NOW).map(({ monitor: name, condition, missing }) => [name, condition, missing])).toEqual([
    ['babel', 'hardly_understood', []],
    ['blind', 'no_file', []],
    ['lost', 'no_agent', []],
    ['waits', undefined, ['a3']],
  ]);
});
