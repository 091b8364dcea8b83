/** The page of a simple kind: what there is of it, and how to make, change, test and delete one. */

import { EditOutlined, EyeOutlined, PlusOutlined, SendOutlined } from '@ant-design/icons';
import { useQuery } from '@tanstack/react-query';
import { App, Button, Card, Input, Modal, Table, type TableColumnsType } from 'antd';
import { useState, type ReactNode } from 'react';
import { useTranslation } from 'react-i18next';
import { api, listAll, resourcePath } from '@/api/client';
import type { Resource } from '@/api/types';
import { Failure } from '@/parts/Failure';
import { Nothing, Page } from '@/parts/Page';
import { TimeText } from '@/parts/TimeText';
import { useSession } from '@/session';
import { DeleteButton } from './DeleteButton';
import { resourcesKey } from './draft';
import { ResourceDrawer } from './ResourceDrawer';

export interface ResourceKind {
  /** As after `kind:`. */
  kind: string;
  plural: string;
  /** `spec` of a new one. */
  blank: Record<string, unknown>;
  columns: (t: (key: string) => string) => TableColumnsType<Resource>;
  fields: ReactNode;
  /** Whether a test message can be sent, and whether it needs an address to go to. */
  test?: 'send' | 'send-to';
}

export function useResources<S = Record<string, unknown>>(plural: string, query: Record<string, string | undefined> = {}) {
  const { workspace } = useSession();
  return useQuery({
    queryKey: [...resourcesKey(workspace, plural), query],
    queryFn: ({ signal }) => listAll<Resource<S>>(resourcePath(workspace, plural), { query, signal }),
  });
}

/** Part of the name or title. */
export const matchesText = ({ metadata }: Resource<unknown>, text: string): boolean =>
  `${metadata.name} ${metadata.displayName ?? ''}`.toLowerCase().includes(text.trim().toLowerCase());

export function ResourcePage({ kind }: { kind: ResourceKind }) {
  const { t } = useTranslation();
  const { can } = useSession();
  const items = useResources(kind.plural);
  const [search, setSearch] = useState('');
  const [editing, setEditing] = useState<{ resource: Resource; stored: boolean }>();
  const editor = can('editor');
  const create = () => setEditing({ resource: { kind: kind.kind, metadata: { name: '' }, spec: kind.blank }, stored: false });

  const columns: TableColumnsType<Resource> = [
    {
      title: t('form.name'),
      key: 'name',
      render: (_, resource) => (
        <>
          <Button type="link" style={{ padding: 0, height: 'auto' }} onClick={() => setEditing({ resource, stored: true })}>{resource.metadata.name}</Button>
          {resource.metadata.displayName && <div className="muted">{resource.metadata.displayName}</div>}
        </>
      ),
    },
    ...kind.columns(t),
    { title: t('form.updated'), key: 'updated', responsive: ['lg'], render: (_, { metadata }) => <TimeText value={metadata.updatedAt} /> },
    {
      key: 'actions',
      align: 'end',
      fixed: 'end',
      render: (_, resource) => (
        <span className="row" style={{ justifyContent: 'flex-end', flexWrap: 'nowrap' }}>
          {kind.test && can('operator') && <TestSend plural={kind.plural} name={resource.metadata.name} needsAddress={kind.test === 'send-to'} />}
          <Button size="small" icon={editor ? <EditOutlined /> : <EyeOutlined />} aria-label={t(editor ? 'action.edit' : 'action.show')} onClick={() => setEditing({ resource, stored: true })} />
          {editor && <DeleteButton size="small" plural={kind.plural} name={resource.metadata.name} />}
        </span>
      ),
    },
  ];

  return (
    <Page
      title={t(`nav.${kind.plural}`)}
      actions={
        <>
          <Input.Search allowClear placeholder={t('action.search')} aria-label={t('action.search')} onChange={(event) => setSearch(event.target.value)} style={{ width: 220 }} />
          {editor && <Button type="primary" icon={<PlusOutlined />} onClick={create} data-testid="resource-create">{t('action.create')}</Button>}
        </>
      }
    >
      {items.error ? <Failure error={items.error} retry={() => void items.refetch()} /> : (
        <Card styles={{ body: { padding: 0 } }}>
          <Table
            rowKey={(resource) => resource.metadata.name}
            columns={columns}
            dataSource={(items.data ?? []).filter((resource) => matchesText(resource, search))}
            loading={items.isPending}
            pagination={{ pageSize: 20, hideOnSinglePage: true }}
            scroll={{ x: 'max-content' }}
            locale={{
              emptyText: items.isPending ? ' ' : (
                <Nothing title={t(search ? 'state.noMatch' : `empty.${kind.plural}`)} help={search ? undefined : t(`empty.${kind.plural}Help`)}>
                  {editor && !search && <Button type="primary" onClick={create}>{t('action.create')}</Button>}
                </Nothing>
              ),
            }}
          />
        </Card>
      )}
      {editing && <ResourceDrawer plural={kind.plural} initial={editing.resource} stored={editing.stored} fields={kind.fields} onClose={() => setEditing(undefined)} />}
    </Page>
  );
}

function TestSend({ plural, name, needsAddress }: { plural: string; name: string; needsAddress: boolean }) {
  const { t } = useTranslation();
  const { workspace } = useSession();
  const { modal } = App.useApp();
  const [asking, setAsking] = useState(false);
  const [to, setTo] = useState('');
  const [busy, setBusy] = useState(false);

  const send = async () => {
    setBusy(true);
    try {
      const { answer } = await api.post<{ answer: string }>(`${resourcePath(workspace, plural, name)}/test-send`, needsAddress ? { to } : {});
      setAsking(false);
      modal.success({ title: t('test.sent'), content: <pre className="block mono">{answer}</pre>, width: 560 });
    } catch (error) {
      setAsking(false);
      modal.error({ title: t('test.failed'), content: <Failure error={error} />, width: 560 });
    } finally {
      setBusy(false);
    }
  };

  return (
    <>
      <Button size="small" icon={<SendOutlined />} loading={busy} onClick={() => (needsAddress ? setAsking(true) : void send())} data-testid={`test-send-${name}`}>{t('test.send')}</Button>
      <Modal open={asking} title={t('test.send')} okText={t('test.send')} okButtonProps={{ disabled: !to.includes('@') }} confirmLoading={busy} onOk={send} onCancel={() => setAsking(false)}>
        <label htmlFor={`to-${name}`}>{t('test.to')}</label>
        <Input id={`to-${name}`} type="email" value={to} onChange={(event) => setTo(event.target.value)} placeholder="sre@example.com" />
      </Modal>
    </>
  );
}
