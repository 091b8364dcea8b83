import { expect, test } from 'vitest';
import type { AgentView, MonitorSpec, Resource } from '@/api/types';
import { attention } from './attention';

const NOW = Date.parse('2026-01-31T12:00:00Z');
const monitor = (name: string, enabled = true): Resource<MonitorSpec> => ({ kind: 'Monitor', metadata: { name, updatedAt: '2026-01-30T12:00:00Z' }, spec: { type: 'minute', source: { log: { paths: [] } }, enabled } });
const report = (name: string, files: number, lines = 0, faults: Record<string, number> = {}) => ({ monitor: name, files, lines, faults, examples: {}, watermark: null });
const agent = (...monitors: AgentView['monitors']) => ({ monitors }) as AgentView;

test('those that read nothing come first, then those that wait; a healthy one and one that is off not at all', () => {
  const monitors = [monitor('fine'), monitor('waits'), monitor('blind'), monitor('babel'), monitor('off', false)];
  const agents = [agent(report('fine', 1, 5), report('waits', 1, 5), report('blind', 0), report('babel', 1, 5, { time_unreadable: 5 }))];
  const waiting = [{ monitor: 'waits', completeThrough: '2026-01-31T11:00:00Z', missing: ['a3'] }];
  expect(attention(waiting, monitors, agents, NOW).map(({ monitor: name, condition, missing }) => [name, condition, missing])).toEqual([
    ['babel', 'not_understood', []],
    ['blind', 'no_file', []],
    ['waits', undefined, ['a3']],
  ]);
});
