// @vitest-environment jsdom
import { act, fireEvent, screen, waitFor } from '@testing-library/react';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { CompletenessState, MonitorSpec, Reading, Resource, Series, Windows } from '@/api/types';
import { absoluteTime } from '@/parts/format';
import { show } from '@/testing/render';
import { serve } from '@/testing/server';
import { Component as MonitorPage } from './MonitorPage';
import { Component as MonitorsPage } from './MonitorsPage';

vi.mock('@/parts/Chart', () => ({ Chart: () => <div data-testid="chart" /> }));

const NOW = Date.parse('2026-01-31T12:00:40Z');
const at = (minutesAgo: number) => new Date(Math.floor(NOW / 60_000) * 60_000 - minutesAgo * 60_000).toISOString();

const monitor = (updatedAt: string, spec: Partial<MonitorSpec>): Resource<MonitorSpec> => ({ kind: 'Monitor', metadata: { name: 'm', version: 1, createdAt: updatedAt, updatedAt }, spec: { type: 'minute', source: { log: { paths: [{ path: '/a.log' }] } }, stats: [{ name: 'count', fn: 'lines' }], ...spec } });
const agent = { id: 'a1', facts: { hostname: 'trade-1', labels: {} }, health: 'healthy', monitors: [] };

interface World {
  updatedAt?: string;
  states?: CompletenessState[];
  reading?: Partial<Reading>;
  blind?: Windows['blind'];
  spec?: Partial<MonitorSpec>;
  series?: Series[];
  top?: Windows['top'];
  /** For each step; a longer one is kept. */
  keptFrom?: Record<string, string>;
}

function world({ updatedAt = '2026-01-30T00:00:00Z', states = ['complete', 'complete', 'in_progress'], reading = {}, blind = [], spec = {}, series, top, keptFrom = {} }: World) {
  const list = (items: unknown[]) => () => ({ items });
  // As the server does: whole windows without a line are zeros.
  const zeros = states.flatMap((state, n) => (state === 'complete' ? [{ time: at(states.length - 1 - n), values: { count: 0 } }] : []));
  const told: Reading = { monitor: 'm', state: 'quiet', lines: 0, counted: 0, files: 1, ...reading };
  const missing = { missing: ['a1'], missingCount: 1 };
  return serve({
    'GET /workspaces/default/monitors': list([monitor(updatedAt, spec)]),
    'GET /workspaces/default/monitors/m': () => monitor(updatedAt, spec),
    'GET /workspaces/default/monitors/m/status': () => ({ agents: [{ id: 'a1', hostname: 'trade-1', through: null, health: 'healthy' }], faults: [], files: 1, completeThrough: null, reading: told }),
    'GET /workspaces/default/monitors/m/windows': ({ query }) => ({ by: spec.group_by ?? [], stats: (spec.stats ?? []).map(({ name }) => name), series: series ?? [{ keys: {}, points: zeros }], truncated: false, blind, ...(top ? { top } : {}), keptFrom: keptFrom[query.get('step') ?? ''], completeness: states.map((state, n) => ({ time: at(states.length - 1 - n), state, ...(state === 'partial' ? missing : state === 'never' ? { reason: 'nobody_expected' } : {}) })) }),
    'GET /workspaces/default/readings': list([told]),
    'GET /workspaces/default/agents': list([agent]),
    'GET /workspaces/default/folders': list([]),
    'GET /workspaces/default/alert-rules': list([]),
    'GET /workspaces/default/alerts': list([]),
  });
}

const page = (language?: 'en-US' | 'zh-CN') => show(<MonitorPage />, { at: 'monitors/m', route: 'monitors/:name', language });
const listing = (language?: 'en-US' | 'zh-CN') => show(<MonitorsPage />, { at: 'monitors', language });

beforeEach(() => {
  vi.useFakeTimers({ now: NOW, shouldAdvanceTime: true });
});
afterEach(() => {
  vi.useRealTimers();
});

test('a healthy zero has a chart, and rows of 0, on page and list alike', async () => {
  world({});
  page();
  expect(await screen.findByTestId('chart')).toBeTruthy();
  const figures = screen.getByTestId('figures');
  expect(figures.querySelectorAll('[data-testid="completeness-complete"]')).toHaveLength(2);
  expect([...figures.querySelectorAll('td.figure')].map(({ textContent }) => textContent)).toEqual(['0', '0']);
});

test('the list shows the healthy zero as complete', async () => {
  world({});
  listing();
  const last = await screen.findByTestId('last-minute-m');
  expect(last.textContent).toContain('count 0');
  expect(last.querySelector('[data-testid="completeness-complete"]')).toBeTruthy();
  expect((await screen.findByTestId('reading-quiet')).textContent).toBe('No new lines');
  expect(screen.queryByTestId('reading-why-m')).toBeNull();
});

test('an agent that is missing in a newer minute is named', async () => {
  world({ states: ['complete', 'partial', 'in_progress'] });
  listing();
  expect((await screen.findByTestId('last-minute-m')).querySelector('[data-testid="completeness-partial"]')).toBeTruthy();
});

test.each([
  [undefined, 'First figures in about 85 s'],
  ['zh-CN' as const, '首批数据约 85 秒后出现'],
])('a new monitor says when its first figures come, and counts down (%s)', async (language, told) => {
  world({ updatedAt: '2026-01-31T12:00:38Z', states: ['never', 'in_progress'], reading: { state: 'reading', lines: 3, counted: 3, understood: 100 } });
  page(language);
  expect((await screen.findByTestId('beginning')).textContent).toContain(told);
  expect(await screen.findByTestId('reading-reading')).toBeTruthy();
  await act(() => vi.advanceTimersByTimeAsync(30_000));
  expect(Number(/\d+/.exec(screen.getByTestId('beginning').textContent)?.[0])).toBeLessThanOrEqual(60);
  await act(() => vi.advanceTimersByTimeAsync(70_000));
  expect(screen.queryByTestId('beginning')).toBeNull();
});

test('a new monitor counts down on the list too, and is not yet told to have no agent', async () => {
  world({ updatedAt: '2026-01-31T12:00:38Z', states: ['in_progress'], reading: { state: 'no_agent', files: 0 } });
  listing();
  expect(await screen.findByTestId('reading-starting')).toBeTruthy();
  expect((await screen.findByTestId('beginning-m')).textContent).toContain('First figures in about');
});

const BABEL: Partial<Reading> = { state: 'not_understood', lines: 689, understood: 0, reason: 'time_unreadable', example: '/a.log: 10.0.0.1 no time here' };

test.each([
  ['no_file', undefined, { state: 'no_file', files: 0 }, 'No file matches', '', ''],
  ['not_understood', undefined, BABEL, 'Log not understood', 'Time not readable/a.log: 10.0.0.1 no time here', '689 lines, 0% understoodMost frequent reason: Time not readable/a.log: 10.0.0.1 no time here'],
  ['not_understood', 'zh-CN', BABEL, '读不懂日志', '时间读不出/a.log: 10.0.0.1 no time here', '读到 689 行，读懂 0%最常见的原因：时间读不出/a.log: 10.0.0.1 no time here'],
] as const)('a monitor that reads nothing is no green zero, and says why (%s, %s)', async (state, language, reading, told, shortly, why) => {
  world({ reading });
  const { unmount } = listing(language);
  expect((await screen.findByTestId(`reading-${state}`)).textContent).toBe(told);
  expect(screen.queryByTestId('reading-why-m')?.textContent ?? '').toBe(shortly);
  await waitFor(() => expect(screen.queryByTestId('last-minute-m')).toBeNull());
  expect(screen.queryByTestId('completeness-complete')).toBeNull();
  unmount();
  page(language);
  const notice = (await screen.findByTestId('reading-notice')).textContent;
  expect(notice).toContain(told);
  expect(notice).toContain(why);
});

test('one that understands little keeps its figures, and is warned of', async () => {
  world({ reading: { ...BABEL, state: 'hardly_understood', understood: 12.34 } });
  const { unmount } = listing();
  expect((await screen.findByTestId('reading-why-m')).textContent).toBe('Time not readable/a.log: 10.0.0.1 no time here');
  expect(await screen.findByTestId('last-minute-m')).toBeTruthy();
  unmount();
  page();
  expect((await screen.findByTestId('reading-notice')).textContent).toContain('12.34% understood');
});

test('a whole minute of which nothing could be read is no green one, on page and list alike', async () => {
  world({ reading: { state: 'reading', lines: 9, counted: 5, understood: 55 }, series: [{ keys: {}, points: [] }], blind: [{ time: at(2), reason: 'not_understood' }, { time: at(1), reason: 'not_understood' }] });
  const { unmount } = listing();
  const last = await screen.findByTestId('last-minute-m');
  expect(last.textContent).toContain('count –Log not understood');
  expect(last.querySelector('[data-testid="completeness-complete"]')).toBeNull();
  unmount();
  page();
  expect((await screen.findByTestId('blind-strip')).textContent).toContain('lines came in, and none was understood');
});

test.each([
  ['en-US' as const, '1-minute windows are no longer kept, only longer ones', 'Show 1-hour windows'],
  ['zh-CN' as const, '之前不再保留按 1 分钟统计的数据，只保留更长间隔的汇总', '按 1 小时显示'],
])('where minutes are not kept any more it says so, and shows longer windows (%s)', async (language, told, offer) => {
  const sent = world({ keptFrom: { '1m': '2026-01-31T11:30:00Z' } });
  page(language);
  const notice = await screen.findByTestId('kept-from');
  expect(notice.textContent).toContain(told);
  expect(notice.textContent).toContain(absoluteTime(Date.parse('2026-01-31T11:30:00Z'), language));
  const button = screen.getByTestId('kept-longer');
  expect(button.textContent).toBe(offer);
  fireEvent.click(button);
  await waitFor(() => expect(screen.queryByTestId('kept-from')).toBeNull());
  expect(sent.findLast(({ path }) => path.endsWith('/windows'))?.query.get('step')).toBe('1h');
  // Back to what suits the range.
  fireEvent.click(screen.getByTestId('longer-step').querySelector('.ant-tag-close-icon') ?? document.body);
  expect(await screen.findByTestId('kept-from')).toBeTruthy();
});

const SERVICE: Partial<MonitorSpec> = {
  type: 'service_metrics',
  service: { result: 'result', success: ['Y'], cost: 'ms' },
  stats: [{ name: 'total', fn: 'lines' }, { name: 'success', fn: 'success' }, { name: 'failure', fn: 'failure' }, { name: 'success_rate', fn: 'success_rate' }, { name: 'cost_avg', fn: 'avg', column: 'ms' }],
};
const served = (station: string, total: number, success: number, minutesAgo: number): Series => ({ keys: { station }, points: [{ time: at(minutesAgo), values: { total, success, failure: total - success, success_rate: (100 * success) / total, cost_avg: 12.5 } }] });
const cells = (row: Element | undefined) => [...(row?.querySelectorAll('td') ?? [])].map(({ textContent }) => textContent);

test('service metrics by key are a table of their newest whole minute, the busiest first; one that fell silent is 0', async () => {
  world({ spec: { ...SERVICE, group_by: ['station'] }, series: [served('south', 4, 4, 1), served('north', 8, 6, 1), { keys: { station: 'quiet' }, points: [{ time: at(1), values: { total: 0, success: 0, failure: 0, success_rate: null, cost_avg: null } }] }] });
  page();
  const rows = [...(await screen.findByTestId('service-table')).querySelectorAll('tbody tr.ant-table-row')];
  expect(rows.map((row) => cells(row).slice(0, 6))).toEqual([
    ['north', '8', '6', '2', '75%', '12.5'],
    ['south', '4', '4', '0', '100%', '12.5'],
    ['quiet', '0', '0', '0', '–', '–'],
  ]);
  expect(rows[0]?.querySelectorAll('.failing')).toHaveLength(1);
});

test('a service as a whole has a chart each for how much, how well and how fast', async () => {
  world({ spec: SERVICE });
  page('zh-CN');
  await waitFor(() => expect(screen.getAllByTestId('chart')).toHaveLength(3));
  expect([...document.querySelectorAll('.panel-title')].map(({ textContent }) => textContent)).toEqual(['请求量', '成功率', '平均耗时']);
  expect(screen.getAllByTestId('completeness-strip')).toHaveLength(1);
});

test('a Top is a table of its keys, that says how sure they are', async () => {
  const item = (url: string, count: number, error: number) => ({ keys: { url }, values: { count }, ...(error > 0 ? { errors: { count: error } } : {}) });
  const items = [item('/a', 900, 0), item('/b', 40, 15), item('/c', 30, 15)];
  const exact = { time: at(2), exact: true, errors: { count: 0 }, absentAtMost: 0, keysKept: 1, items: [item('/old', 1, 0)] };
  const approximate = { time: at(1), exact: false, errors: { count: 15 }, absentAtMost: 16, keysKept: 1024, items };
  const sent = world({ spec: { type: 'minute_top', group_by: ['url'], top: { n: 3, by: 'count' } }, top: { groupBy: ['url'], rankedBy: 'count', truncated: false, windows: [exact, approximate] } });
  page();
  const table = await screen.findByTestId('top-table');
  expect([...table.querySelectorAll('tbody tr.ant-table-row')].map(cells)).toEqual([['1', '/a', '900'], ['2', '/b', '25 – 40'], ['3', '/c', '15 – 30']]);
  // Of a key that is not kept there may be 16.
  expect([...table.querySelectorAll('td.figure .muted')].map(({ textContent }) => textContent)).toEqual(['15 – 30']);
  expect(screen.getByTestId('top-approximate').textContent).toContain('at most 15 too high');
  expect(screen.getByTestId('chart')).toBeTruthy();
  const asked = sent.find(({ path, query }) => path.endsWith('/windows') && query.get('limit') === '3');
  expect(asked?.query.has('by')).toBe(false);
});

test('seconds are watched live: asked for by the second, again every two', async () => {
  const sent = world({ spec: { type: 'second' } });
  page();
  expect(await screen.findByTestId('live')).toBeTruthy();
  const asked = () => sent.filter(({ path }) => path.endsWith('/windows'));
  expect(asked()[0]?.query.get('step')).toBe('1s');
  const before = asked().length;
  await act(() => vi.advanceTimersByTimeAsync(6500));
  expect(asked().length - before).toBeGreaterThanOrEqual(3);
});
