import { CopyOutlined, EditOutlined, FolderOutlined, MoreOutlined, PlusOutlined, BellOutlined, PauseCircleOutlined, PlayCircleOutlined, DeleteOutlined } from '@ant-design/icons';
import { useQueryClient } from '@tanstack/react-query';
import { App, AutoComplete, Button, Card, Dropdown, Grid, Input, Modal, Select, Table, Tree, type TableColumnsType } from 'antd';
import { useMemo, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { Link, useNavigate, useSearchParams } from 'react-router';
import { api, putResource, resourcePath } from '@/api/client';
import type { MonitorSpec, Reading, Resource } from '@/api/types';
import { useDelete } from '@/documents/DeleteButton';
import { resourcesKey } from '@/documents/draft';
import { useFolders } from '@/documents/fields';
import { setIn } from '@/documents/path';
import { matchesText, useResources } from '@/documents/ResourcePage';
import { authored } from '@/documents/yaml';
import { Failure } from '@/parts/Failure';
import { Nothing, Page } from '@/parts/Page';
import { useSession } from '@/session';
import { isBlind } from './condition';
import { folderTree, inFolder, type FolderNode } from './folders';
import { LastMinute } from './LastMinute';
import { ReadingTag, ReadingWhy, useCondition } from './Reading';
import { useReadings } from './readings';
import { useAgents } from './SampleSource';

type Monitor = Resource<MonitorSpec>;

export function Component() {
  const { t } = useTranslation();
  const { can, link, workspace } = useSession();
  const { message, modal } = App.useApp();
  const navigate = useNavigate();
  const client = useQueryClient();
  const askDelete = useDelete();
  const monitors = useResources<MonitorSpec>('monitors');
  const folders = useFolders();
  const readings = useReadings();
  const agents = useAgents();
  const [search, setSearch] = useSearchParams();
  const folder = search.get('folder') ?? '';
  const [text, setText] = useState('');
  const [selected, setSelected] = useState<string[]>([]);
  const [moving, setMoving] = useState<Monitor[]>();
  const wide = Grid.useBreakpoint().lg ?? true;
  const editor = can('editor');

  const all = useMemo(() => monitors.data ?? [], [monitors.data]);
  const tree = useMemo(() => folderTree((folders.data ?? []).map(({ path }) => path), all.map(({ metadata }) => metadata.folder ?? '')), [folders.data, all]);
  const hosts = useMemo(() => new Map((agents.data ?? []).map(({ id, facts }) => [id, facts.hostname])), [agents.data]);
  const shown = all.filter((monitor) => inFolder(monitor.metadata.folder ?? '', folder) && matchesText(monitor, text));
  const setFolder = (path: string) => setSearch(path ? { folder: path } : {});
  const newLink = link(`monitors/new${folder ? `?folder=${encodeURIComponent(folder)}` : ''}`);

  /** Writes a change to each; what was refused is said, the rest stands. */
  const changeAll = async (which: Monitor[], path: string, value: unknown) => {
    const refused: unknown[] = [];
    for (const monitor of which) {
      try {
        await putResource(workspace, 'monitors', setIn(authored(monitor), path, value), monitor.metadata.version);
      } catch (error) {
        refused.push(error);
      }
    }
    await client.invalidateQueries({ queryKey: resourcesKey(workspace, 'monitors') });
    await client.invalidateQueries({ queryKey: ['folders', workspace] });
    if (refused.length > 0) modal.error({ title: t('state.notSaved'), width: 560, content: <div className="stack">{refused.map((error, index) => <Failure key={index} error={error} />)}</div> });
    else void message.success(t('state.saved'));
  };

  const remove = (monitor: Monitor) =>
    askDelete(
      monitor.metadata.name,
      async () => {
        await api.delete(resourcePath(workspace, 'monitors', monitor.metadata.name));
        await client.invalidateQueries({ queryKey: resourcesKey(workspace, 'monitors') });
      },
      t('monitor.deleteHelp'),
    );

  const menu = (monitor: Monitor) => {
    const enabled = monitor.spec.enabled !== false;
    return {
      items: [
        { key: 'edit', icon: <EditOutlined />, label: t('action.edit') },
        { key: 'copy', icon: <CopyOutlined />, label: t('action.duplicate') },
        { key: 'rule', icon: <BellOutlined />, label: t('rule.createFor') },
        { key: 'toggle', icon: enabled ? <PauseCircleOutlined /> : <PlayCircleOutlined />, label: t(enabled ? 'action.disable' : 'action.enable') },
        { key: 'move', icon: <FolderOutlined />, label: t('folder.move') },
        { type: 'divider' as const },
        { key: 'delete', icon: <DeleteOutlined />, danger: true, label: t('action.delete') },
      ],
      onClick: ({ key }: { key: string }) => {
        const { name } = monitor.metadata;
        if (key === 'edit') void navigate(link(`monitors/${name}/edit`));
        else if (key === 'copy') void navigate(link(`monitors/new?copy=${name}`));
        else if (key === 'rule') void navigate(link(`alert-rules/new?monitor=${name}`));
        else if (key === 'toggle') void changeAll([monitor], 'spec.enabled', !enabled);
        else if (key === 'move') setMoving([monitor]);
        else remove(monitor);
      },
    };
  };

  const columns: TableColumnsType<Monitor> = [
    {
      title: t('form.name'),
      key: 'name',
      sorter: (a, b) => a.metadata.name.localeCompare(b.metadata.name),
      render: (_, { metadata }) => (
        <>
          <Link to={link(`monitors/${metadata.name}`)} data-testid={`monitor-${metadata.name}`}>{metadata.displayName || metadata.name}</Link>
          {metadata.displayName && <div className="muted">{metadata.name}</div>}
        </>
      ),
    },
    { title: t('form.folder'), key: 'folder', responsive: ['xxl'], render: (_, { metadata }) => metadata.folder || <span className="muted">–</span> },
    { title: t('monitor.app'), key: 'app', responsive: ['lg'], render: (_, { spec }) => spec.app ?? <span className="muted">{t('monitor.allAgents')}</span> },
    { title: t('monitor.lastMinute'), key: 'last', render: (_, monitor) => <Last monitor={monitor} reading={readings.data?.get(monitor.metadata.name)} hosts={hosts} /> },
    { title: t('state.state'), key: 'state', render: (_, monitor) => <State monitor={monitor} reading={readings.data?.get(monitor.metadata.name)} /> },
    ...(editor
      ? [{
          key: 'actions',
          align: 'end' as const,
          fixed: 'end' as const,
          render: (_: unknown, monitor: Monitor) => (
            <Dropdown trigger={['click']} menu={menu(monitor)}>
              <Button size="small" type="text" icon={<MoreOutlined />} aria-label={t('action.more', { name: monitor.metadata.name })} data-testid={`monitor-menu-${monitor.metadata.name}`} />
            </Dropdown>
          ),
        }]
      : []),
  ];

  return (
    <Page
      title={t('nav.monitors')}
      actions={
        <>
          <Input.Search allowClear placeholder={t('action.search')} aria-label={t('action.search')} onChange={(event) => setText(event.target.value)} style={{ width: 220 }} data-testid="monitor-search" />
          {editor && <Link to={newLink}><Button type="primary" icon={<PlusOutlined />} data-testid="monitor-create">{t('monitor.create')}</Button></Link>}
        </>
      }
    >
      {monitors.error ? <Failure error={monitors.error} retry={() => void monitors.refetch()} /> : (
        <div className="grid">
          {tree.length > 0 && (
            <Card size="small" className={wide ? 'span-3' : 'span-12'} title={wide ? t('form.folder') : undefined} style={{ alignSelf: 'start' }}>
              {wide ? (
                <Tree<FolderNode>
                  treeData={[{ key: '', title: t('folder.all'), count: all.length, children: tree }]}
                  defaultExpandAll
                  blockNode
                  selectedKeys={[folder]}
                  onSelect={([key]) => setFolder(typeof key === 'string' ? key : '')}
                  titleRender={(node) => <span>{node.title} <span className="muted">{node.count}</span></span>}
                  aria-label={t('form.folder')}
                />
              ) : (
                <Select value={folder} onChange={setFolder} aria-label={t('form.folder')} style={{ width: '100%' }} options={[{ value: '', label: `${t('folder.all')} (${all.length})` }, ...flat(tree)]} />
              )}
            </Card>
          )}
          <Card size="small" className={wide && tree.length > 0 ? 'span-9' : 'span-12'} styles={{ body: { padding: 0 } }}>
            {selected.length > 0 && (
              <div className="row" style={{ padding: 10 }}>
                {t('state.selected', { count: selected.length })}
                <Button size="small" onClick={() => setMoving(all.filter(({ metadata }) => selected.includes(metadata.name)))}>{t('folder.move')}</Button>
                <Button size="small" onClick={() => void changeAll(all.filter(({ metadata }) => selected.includes(metadata.name)), 'spec.enabled', true)}>{t('action.enable')}</Button>
                <Button size="small" onClick={() => void changeAll(all.filter(({ metadata }) => selected.includes(metadata.name)), 'spec.enabled', false)}>{t('action.disable')}</Button>
              </div>
            )}
            <Table
              size="medium"
              rowKey={({ metadata }) => metadata.name}
              columns={columns}
              dataSource={shown}
              loading={monitors.isPending}
              rowSelection={editor ? { selectedRowKeys: selected, onChange: (keys) => setSelected(keys.map(String)) } : undefined}
              pagination={{ pageSize: 20, hideOnSinglePage: true }}
              scroll={{ x: 'max-content' }}
              locale={{
                emptyText: monitors.isPending ? ' ' : all.length > 0 ? <Nothing title={t('state.noMatch')} /> : (
                  <Nothing title={t('empty.monitors')} help={t('empty.monitorsHelp')}>
                    {editor && <Link to={newLink}><Button type="primary">{t('monitor.create')}</Button></Link>}
                  </Nothing>
                ),
              }}
            />
          </Card>
        </div>
      )}
      {moving && (
        <MoveDialog
          count={moving.length}
          folders={(folders.data ?? []).map(({ path }) => path).filter((path) => path !== '')}
          start={moving[0]?.metadata.folder ?? ''}
          onClose={() => setMoving(undefined)}
          onMove={async (path) => {
            await changeAll(moving, 'metadata.folder', path || undefined);
            setMoving(undefined);
            setSelected([]);
          }}
        />
      )}
    </Page>
  );
}

function State({ monitor, reading }: { monitor: Monitor; reading: Reading | undefined }) {
  const condition = useCondition(monitor, reading);
  return <ReadingTag condition={condition} reading={reading} />;
}

/** Figures, where they say something: nothing counted of what was not read is no zero. Else why they do not. */
function Last({ monitor, reading, hosts }: { monitor: Monitor; reading: Reading | undefined; hosts: ReadonlyMap<string, string> }) {
  const condition = useCondition(monitor, reading);
  return (
    <>
      {condition === 'off' || isBlind(condition) ? <span className="muted">–</span> : <LastMinute monitor={monitor} hosts={hosts} />}
      <ReadingWhy condition={condition} reading={reading} short />
    </>
  );
}

function flat(nodes: FolderNode[]): { value: string; label: string }[] {
  return nodes.flatMap((node) => [{ value: node.key, label: `${node.key} (${node.count})` }, ...flat(node.children)]);
}

function MoveDialog({ count, folders, start, onMove, onClose }: { count: number; folders: string[]; start: string; onMove: (path: string) => Promise<void>; onClose: () => void }) {
  const { t } = useTranslation();
  const [path, setPath] = useState(start);
  const [busy, setBusy] = useState(false);
  return (
    <Modal
      open
      title={t('folder.moveCount', { count })}
      okText={t('folder.move')}
      confirmLoading={busy}
      onCancel={onClose}
      onOk={async () => {
        setBusy(true);
        await onMove(path.trim());
      }}
    >
      <label htmlFor="move-to">{t('form.folder')}</label>
      <AutoComplete id="move-to" value={path} options={folders.map((value) => ({ value }))} onChange={setPath} placeholder={t('form.folderPlaceholder')} style={{ width: '100%' }} />
    </Modal>
  );
}
