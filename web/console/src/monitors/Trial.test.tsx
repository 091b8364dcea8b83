// @vitest-environment jsdom
import { fireEvent, screen } from '@testing-library/react';
import { expect, test } from 'vitest';
import type { MonitorSpec, Resource, TrialReport } from '@/api/types';
import { DocumentPage } from '@/documents/DocumentPage';
import { show } from '@/testing/render';
import { serve } from '@/testing/server';
import { Trial } from './Trial';

test.each([
  ['en-US', 'Several zones share this abbreviation'],
  ['zh-CN', '多个时区共用这个缩写'],
] as const)('a line whose time cannot be read says why (%s)', async (language, words) => {
  const line = { text: 'Fri Nov 27 10:00:00 CST 2026', time: null, timeFormat: null, columns: {}, counted: false, reason: 'time_unreadable', unread: null };
  const report: TrialReport = { lines: [{ ...line, unread: 'shared_zone' }, { ...line, text: 'at com.example.Main' }], rows: [], faults: { time_unreadable: 2 }, problems: [] };
  serve({ 'POST /workspaces/default/try-monitor': () => report, 'GET /workspaces/default/folders': () => ({ items: [] }) });
  const spec: MonitorSpec = { type: 'minute', source: { log: { paths: [] } } };
  const initial: Resource<MonitorSpec> = { kind: 'Monitor', metadata: { name: 'm', version: 1 }, spec };
  show(
    <DocumentPage plural="monitors" initial={initial} stored back={() => 'monitors'}>
      <Trial spec={spec} lines={['x']} agent={undefined} agents={[]} onReport={() => undefined} />
    </DocumentPage>,
    { language },
  );
  fireEvent.click(screen.getByTestId('try-lines'));
  const told = await screen.findAllByTestId('trial-unread');
  expect(told.map(({ textContent }) => textContent.startsWith(words))).toEqual([true]);
});
