// @vitest-environment jsdom
import { fireEvent, screen, waitFor } from '@testing-library/react';
import { expect, test } from 'vitest';
import type { MonitorSpec, PathPattern, Resource } from '@/api/types';
import { DocumentPage } from '@/documents/DocumentPage';
import { show } from '@/testing/render';
import { Refusal, serve, type Sent } from '@/testing/server';
import { MonitorForm } from './MonitorForm';

const AGENT = { id: 'a1', workspace: 'default', health: 'healthy', reasons: [], enrolledAt: '', lastSeenAt: null, clockSkewMs: 0, configApplied: null, configWanted: '', facts: { hostname: 'trade-1', ip: '', version: '', os: '', arch: '', timezone: '', labels: { app: 'trade' } }, monitors: [], process: {} };
const FILES = { root: '/logs', truncated: false, files: [{ path: '/logs/other.log', directory: false, readable: true, sizeBytes: 1, modifiedAt: null }] };

function task({ body }: Sent) {
  const { list_files: list, preview_file: preview } = body as { list_files?: unknown; preview_file?: { path: string } };
  if (list) return { files: FILES };
  if (preview?.path.startsWith('/logs/')) return { preview: { path: preview.path, lines: ['a,b'], charset: 'UTF-8', sizeBytes: 3 } };
  return new Refusal(422, 'no such file');
}

/** The form of a monitor with these paths, where a host was chosen to sample from. */
async function form(paths: PathPattern[]) {
  const sent = serve({
    'GET /workspaces/default/agents': () => ({ items: [AGENT] }),
    'GET /workspaces/default/folders': () => ({ items: [] }),
    'POST /workspaces/default/agents/a1/tasks': task,
    'PUT /workspaces/default/monitors/m': ({ body }) => body,
  });
  const initial: Resource<MonitorSpec> = { kind: 'Monitor', metadata: { name: 'm', version: 1 }, spec: { type: 'minute', source: { log: { paths } }, stats: [{ name: 'count', fn: 'lines' }] } };
  show(<DocumentPage plural="monitors" initial={initial} stored back={() => 'monitors'}><MonitorForm /></DocumentPage>);
  fireEvent.mouseDown((await screen.findByTestId('sample-agent')).querySelector('.ant-select-selector, .ant-select-content') ?? screen.getByTestId('sample-agent'));
  fireEvent.click(await screen.findByText('trade-1 · trade'));
  return sent;
}

async function choose() {
  fireEvent.click(screen.getByTestId('sample-browse'));
  fireEvent.click(await screen.findByTestId('file:/logs/other.log'));
  await screen.findByTestId('sample-line-0');
}

async function stored(sent: Sent[]) {
  fireEvent.click(screen.getByTestId('document-save'));
  await waitFor(() => expect(sent.some(({ method }) => method === 'PUT')).toBe(true));
  return (sent.find(({ method }) => method === 'PUT')?.body as Resource<MonitorSpec>).spec.source.log.paths;
}

test.each([
  ['a glob', [{ glob: '/var/log/nginx/*.log' }]],
  ['a path', [{ path: '/home/admin/trade.log' }]],
])('choosing a file to sample leaves %s that is monitored as it is', async (_, paths) => {
  const sent = await form(paths);
  await choose();
  expect(screen.getByTestId<HTMLInputElement>('sample-path').value).toBe('/logs/other.log');
  expect(screen.getByTestId('sample-apart').textContent).toContain('/logs/other.log');
  expect(await stored(sent)).toEqual(paths);
});

test('typing where to sample from changes nothing of what is monitored', async () => {
  const sent = await form([{ glob: '/var/log/*.log' }]);
  fireEvent.change(screen.getByTestId('sample-path'), { target: { value: '/logs/x.log' } });
  fireEvent.click(screen.getByTestId('sample-read'));
  await screen.findByTestId('sample-line-0');
  expect(await stored(sent)).toEqual([{ glob: '/var/log/*.log' }]);
});

test('a file that was sampled is added on request', async () => {
  const sent = await form([{ glob: '/var/log/*.log' }]);
  await choose();
  fireEvent.click(screen.getByTestId('sample-monitor'));
  expect(screen.queryByTestId('sample-apart')).toBeNull();
  expect(await stored(sent)).toEqual([{ glob: '/var/log/*.log' }, { path: '/logs/other.log' }]);
});

test('where nothing is monitored yet, the file that could be read is', async () => {
  const sent = await form([]);
  await choose();
  expect(await stored(sent)).toEqual([{ path: '/logs/other.log' }]);
});

test('a file that the glob matches is no news', async () => {
  await form([{ glob: '/logs/*.log' }]);
  await choose();
  expect(screen.queryByTestId('sample-apart')).toBeNull();
});

test.each([['zh-CN' as const, '分钟 Top', '显示个数'], ['en-US' as const, 'Top of the minute', 'How many']])('a Top asks how many and by what, and takes no limit on keys (%s)', async (language, family, howMany) => {
  const sent = serve({
    'GET /workspaces/default/agents': () => ({ items: [] }),
    'GET /workspaces/default/folders': () => ({ items: [] }),
    'PUT /workspaces/default/monitors/m': ({ body }) => body,
  });
  const columns = [{ name: 'url', pick: { split: { by: ',', index: 1 } } }, { name: 'ms', pick: { split: { by: ',', index: 2 } }, number: true }];
  const initial: Resource<MonitorSpec> = { kind: 'Monitor', metadata: { name: 'm', version: 1 }, spec: { type: 'minute_multi_key', source: { log: { paths: [{ path: '/a.log' }] } }, columns, group_by: ['url'], stats: [{ name: 'ms_avg', fn: 'avg', column: 'ms' }], limits: { max_keys: 10_000 } } };
  show(<DocumentPage plural="monitors" initial={initial} stored back={() => 'monitors'}><MonitorForm /></DocumentPage>, { language });
  fireEvent.click(screen.getByText(family));
  expect(screen.getByText(howMany)).toBeTruthy();
  fireEvent.click(screen.getByTestId('document-save'));
  await waitFor(() => expect(sent.some(({ method }) => method === 'PUT')).toBe(true));
  const { spec } = sent.find(({ method }) => method === 'PUT')?.body as Resource<MonitorSpec>;
  expect(spec).toMatchObject({ type: 'minute_top', top: { n: 10, by: 'count' }, group_by: ['url'], stats: [{ name: 'count', fn: 'lines' }, { name: 'ms_avg', fn: 'avg' }] });
  expect(spec.limits).toBeUndefined();
});

test('service metrics ask for result, success and cost instead of statistics', async () => {
  const sent = serve({
    'GET /workspaces/default/agents': () => ({ items: [] }),
    'GET /workspaces/default/folders': () => ({ items: [] }),
    'PUT /workspaces/default/monitors/m': ({ body }) => body,
  });
  const columns = [{ name: 'result', pick: { split: { by: ',', index: 1 } } }, { name: 'ms', pick: { split: { by: ',', index: 2 } }, number: true }];
  const initial: Resource<MonitorSpec> = { kind: 'Monitor', metadata: { name: 'm', version: 1 }, spec: { type: 'minute', source: { log: { paths: [{ path: '/a.log' }] } }, columns, stats: [{ name: 'count', fn: 'lines' }] } };
  show(<DocumentPage plural="monitors" initial={initial} stored back={() => 'monitors'}><MonitorForm /></DocumentPage>, { language: 'zh-CN' });
  expect(screen.getByTestId('stat-0')).toBeTruthy();
  fireEvent.click(screen.getByText('常用服务指标'));
  expect(screen.queryByTestId('stat-0')).toBeNull();
  expect(screen.getByTestId('service-success').textContent).toContain('Y');
  fireEvent.click(screen.getByTestId('document-save'));
  await waitFor(() => expect(sent.some(({ method }) => method === 'PUT')).toBe(true));
  const { spec } = sent.find(({ method }) => method === 'PUT')?.body as Resource<MonitorSpec>;
  expect(spec).toMatchObject({ type: 'service_metrics', service: { result: 'result', success: ['Y'], cost: 'ms' } });
  expect(spec.stats).toBeUndefined();
});
