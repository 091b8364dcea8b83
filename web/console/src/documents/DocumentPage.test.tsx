// @vitest-environment jsdom
import { fireEvent, screen, waitFor } from '@testing-library/react';
import { expect, test } from 'vitest';
import type { Resource } from '@/api/types';
import { show } from '@/testing/render';
import { Refusal, serve, type Sent } from '@/testing/server';
import { DocumentPage } from './DocumentPage';
import { MetadataFields } from './fields';
import { ResourceDrawer } from './ResourceDrawer';

type Spec = { enabled?: boolean; note?: string };

const STORED: Resource<Spec> = { kind: 'Monitor', metadata: { name: 'ux-a', version: 1, workspace: 'default', uid: 'u' }, spec: { note: 'mine' } };
const OTHER = 'PUT /workspaces/default/monitors/ux-b';
const OWN = 'PUT /workspaces/default/monitors/ux-a';
const writes = (sent: Sent[]) => sent.filter(({ method }) => method === 'PUT');
const echo = ({ body }: Sent) => body;

function page(initial = STORED, stored = true) {
  return show(<DocumentPage plural="monitors" initial={initial} stored={stored} back={(saved) => `monitors/${saved?.metadata.name ?? ''}`}><MetadataFields /></DocumentPage>, { at: 'monitors/ux-a/edit' });
}

function typeYaml(change: (text: string) => string) {
  fireEvent.click(screen.getByTestId('tab-yaml'));
  const area = screen.getByTestId<HTMLTextAreaElement>('yaml');
  fireEvent.change(area, { target: { value: change(area.value) } });
}

const save = () => fireEvent.click(screen.getByTestId('document-save'));

test('a document renamed in YAML is not written over another', async () => {
  const sent = serve({ [OTHER]: echo, [OWN]: echo });
  page();
  typeYaml((text) => text.replace('ux-a', 'ux-b'));
  expect(await screen.findByTestId('renamed')).toBeTruthy();
  save();
  expect((await screen.findByTestId('failure')).textContent).toContain('it must be ux-a');
  expect(writes(sent)).toEqual([]);
});

test('it is saved as a copy, as new: over no document that has the name', async () => {
  const sent = serve({ [OTHER]: echo });
  const { router } = page();
  typeYaml((text) => text.replace('ux-a', 'ux-b'));
  fireEvent.click(await screen.findByTestId('save-copy'));
  await waitFor(() => expect(writes(sent)).toHaveLength(1));
  const [write] = writes(sent);
  expect(write?.path).toBe('/workspaces/default/monitors/ux-b');
  expect(write?.headers.get('If-None-Match')).toBe('*');
  expect(write?.headers.get('If-Match')).toBeNull();
  await waitFor(() => expect(router.state.location.pathname).toBe('/w/default/monitors/ux-b'));
});

test('a copy under a name that is taken is refused, and says so', async () => {
  serve({ [OTHER]: () => new Refusal(412, 'Monitor `ux-b` exists') });
  const { router } = page();
  typeYaml((text) => text.replace('ux-a', 'ux-b'));
  fireEvent.click(await screen.findByTestId('save-copy'));
  expect((await screen.findByTestId('failure')).textContent).toContain('choose another name');
  expect(router.state.location.pathname).toBe('/w/default/monitors/ux-a/edit');
});

test('its own name comes back without losing what else was typed, comments too', async () => {
  const sent = serve({ [OWN]: echo });
  page();
  typeYaml((text) => text.replace('ux-a', 'ux-b').replace('note: mine', 'note: new # why'));
  fireEvent.click(await screen.findByTestId('keep-name'));
  expect(screen.queryByTestId('renamed')).toBeNull();
  expect(screen.getByTestId<HTMLTextAreaElement>('yaml').value).toContain('# why');
  save();
  await waitFor(() => expect(writes(sent)).toHaveLength(1));
  expect(writes(sent)[0]).toMatchObject({ path: '/workspaces/default/monitors/ux-a', body: { metadata: { name: 'ux-a' }, spec: { note: 'new' } } });
  expect(writes(sent)[0]?.headers.get('If-Match')).toBe('"1"');
});

test('the form keeps the other name in sight when the YAML is left', async () => {
  serve({});
  page();
  typeYaml((text) => text.replace('ux-a', 'ux-b'));
  fireEvent.click(screen.getByText('Form'));
  expect(await screen.findByTestId('renamed')).toBeTruthy();
  fireEvent.click(screen.getByTestId('keep-name'));
  expect(screen.getByTestId<HTMLInputElement>('metadata.name').value).toBe('ux-a');
});

test.each([
  ['another kind', (text: string) => text.replace('kind: Monitor', 'kind: AlertRule'), 'Only a Monitor can be saved here'],
  ['another workspace', (text: string) => text.replace('metadata:', 'metadata:\n  workspace: other'), 'this one is default'],
  ['no name', (text: string) => text.replace('name: ux-a', 'name: ""'), 'Required'],
  ['a name that leads elsewhere', (text: string) => text.replace('name: ux-a', 'name: ..'), '1 to 63'],
])('%s is refused before anything is sent', async (_, change, told) => {
  const sent = serve({});
  page();
  typeYaml(change);
  save();
  expect((await screen.findByTestId('failure')).textContent).toContain(told);
  expect(writes(sent)).toEqual([]);
});

test('the workspace that it is in may stand in the YAML', async () => {
  const sent = serve({ [OWN]: echo });
  page();
  typeYaml((text) => text.replace('metadata:', 'metadata:\n  workspace: default'));
  save();
  await waitFor(() => expect(writes(sent)).toHaveLength(1));
});

test('a new document replaces none, and needs a name', async () => {
  const sent = serve({ [OTHER]: () => new Refusal(412, 'Monitor `ux-b` exists') });
  page({ kind: 'Monitor', metadata: { name: '' }, spec: {} }, false);
  save();
  expect((await screen.findByTestId('failure')).textContent).toContain('Required');
  expect(sent).toEqual([]);
  fireEvent.change(screen.getByTestId('metadata.name'), { target: { value: 'ux-b' } });
  save();
  await waitFor(() => expect(writes(sent)).toHaveLength(1));
  expect(writes(sent)[0]?.headers.get('If-None-Match')).toBe('*');
  await waitFor(() => expect(screen.getByTestId('failure').textContent).toContain('choose another name'));
});

test('a drawer refuses the same', async () => {
  const sent = serve({ 'PUT /workspaces/default/contacts/bob': echo });
  show(<ResourceDrawer plural="contacts" initial={{ kind: 'Contact', metadata: { name: 'alice', version: 2 }, spec: {} }} stored fields={null} onClose={() => undefined} />);
  typeYaml((text) => text.replace('alice', 'bob'));
  fireEvent.click(screen.getByTestId('resource-save'));
  expect((await screen.findByTestId('failure')).textContent).toContain('it must be alice');
  expect(writes(sent)).toEqual([]);
  fireEvent.click(screen.getByTestId('save-copy'));
  await waitFor(() => expect(writes(sent)[0]?.headers.get('If-None-Match')).toBe('*'));
});
