// @vitest-environment jsdom
import { screen } from '@testing-library/react';
import { expect, test, vi } from 'vitest';
import { show } from '@/testing/render';
import { Refusal, serve } from '@/testing/server';
import { Component as OverviewPage } from './OverviewPage';

vi.mock('@/parts/Chart', () => ({ Chart: () => <div data-testid="chart" /> }));

const monitor = (name: string) => ({ kind: 'Monitor', metadata: { name, updatedAt: '2026-01-30T12:00:00Z' }, spec: { type: 'minute', source: { log: { paths: [] } } } });
const reading = (name: string, more: object) => ({ monitor: name, lines: 0, counted: 0, files: 1, ...more });
const BABEL = reading('babel', { state: 'not_understood', lines: 40, understood: 0, reason: 'time_unreadable', example: '/b.log: no time here' });

function world(readings: () => unknown) {
  serve({
    'GET /workspaces/default/overview': () => ({ monitors: { total: 2, enabled: 2 }, agents: { healthy: 1, abnormal: 0, clock_skew: 0, lost: 0, left: 0 }, firing: {}, trend: [], latest: [], incomplete: [], blind: [BABEL] }),
    'GET /workspaces/default/monitors': () => ({ items: [monitor('babel'), monitor('fine')] }),
    'GET /workspaces/default/agents': () => ({ items: [] }),
    'GET /workspaces/default/readings': readings,
  });
}

test('a monitor that does not understand its log is to be looked at, with the reason and a line', async () => {
  world(() => ({ items: [BABEL, reading('fine', { state: 'quiet' })] }));
  show(<OverviewPage />);
  expect((await screen.findByTestId('reading-not_understood')).textContent).toBe('Log not understood');
  expect(screen.getByTestId('reading-why-babel').textContent).toBe('Time not readable/b.log: no time here');
  expect(screen.getByTestId('look-at').querySelectorAll('tbody tr.ant-table-row')).toHaveLength(1);
});

test('what could not be asked is not told to be well', async () => {
  world(() => new Refusal(503, 'the engine is starting'));
  show(<OverviewPage />);
  expect(await screen.findByTestId('failure')).toBeTruthy();
  expect(screen.queryByText('All monitors read their logs, and their data is complete')).toBeNull();
});
