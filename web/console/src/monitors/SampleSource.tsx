/** Where the sample lines come from: the end of a file on a host, or what is pasted. */

import { FileTextOutlined, FolderOpenOutlined, FolderOutlined, LockOutlined } from '@ant-design/icons';
import { useMutation, useQuery } from '@tanstack/react-query';
import { Alert, Breadcrumb, Button, Input, Modal, Segmented, Select, Table } from 'antd';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { api, listAll, resourcePath } from '@/api/client';
import type { AgentTask, AgentTaskResult, AgentView, PathPattern } from '@/api/types';
import { bytes } from '@/parts/format';
import { Failure } from '@/parts/Failure';
import { Nothing } from '@/parts/Page';
import { TimeText } from '@/parts/TimeText';
import { useSession } from '@/session';
import { isMonitored } from './paths';

export function useAgents() {
  const { workspace } = useSession();
  return useQuery({
    queryKey: ['agents', workspace],
    queryFn: ({ signal }) => listAll<AgentView>(resourcePath(workspace, 'agents'), { signal }),
    refetchInterval: 15_000,
  });
}

export function useAgentTask() {
  const { workspace } = useSession();
  return (agent: string, task: AgentTask) => api.post<AgentTaskResult>(`${resourcePath(workspace, 'agents', agent)}/tasks`, task);
}

/** `/var/log/app.log` → `/var/log` */
const parentOf = (path: string) => path.replace(/\/[^/]*$/, '') || '/';

interface Props {
  agent: string | undefined;
  /** What the monitor reads. A sample may be of any file: it is read once, and changes nothing of these. */
  paths: readonly PathPattern[];
  charset: string;
  onAgent: (agent: string) => void;
  /** Asks for a file that was looked at to be monitored as well. */
  onMonitor: (path: string) => void;
  onLines: (lines: string[]) => void;
}

export function SampleSource({ agent, paths, charset, onAgent, onMonitor, onLines }: Props) {
  const { t } = useTranslation();
  const agents = useAgents();
  const run = useAgentTask();
  const [mode, setMode] = useState<'agent' | 'paste'>('agent');
  const [browsing, setBrowsing] = useState(false);
  const [pasted, setPasted] = useState('');
  const [path, setPath] = useState(() => paths.flatMap((pattern) => ('path' in pattern ? [pattern.path] : []))[0] ?? '');
  const preview = useMutation({
    mutationFn: async (file: string) => {
      if (!agent) throw new Error(t('sample.chooseAgent'));
      return (await run(agent, { preview_file: { path: file, lines: 50, charset } })).preview;
    },
    onSuccess: (found, file) => {
      onLines((found?.lines ?? []).filter((line) => line !== ''));
      // Where none is monitored yet, the one that can be read is meant.
      if (paths.length === 0) onMonitor(file);
    },
  });
  const chosen = agents.data?.find(({ id }) => id === agent);

  return (
    <div className="stack" style={{ gap: 12 }}>
      <Segmented
        value={mode}
        onChange={setMode}
        options={[
          { value: 'agent', label: t('sample.fromHost') },
          { value: 'paste', label: <span data-testid="sample-paste-tab">{t('sample.paste')}</span> },
        ]}
        style={{ alignSelf: 'start' }}
      />
      {mode === 'agent' ? (
        <>
          {agents.error && <Failure error={agents.error} retry={() => void agents.refetch()} />}
          {agents.data?.length === 0 ? (
            <Nothing title={t('sample.noAgents')} help={t('sample.noAgentsHelp')} />
          ) : (
            <div className="row" style={{ alignItems: 'stretch' }}>
              <Select
                value={agent}
                onChange={onAgent}
                loading={agents.isPending}
                showSearch={{ optionFilterProp: 'label' }}
                placeholder={t('sample.chooseAgent')}
                aria-label={t('sample.agent')}
                style={{ minWidth: 220, flex: '1 1 220px' }}
                data-testid="sample-agent"
                options={agents.data?.map(({ id, facts, health }) => ({
                  value: id,
                  label: `${facts.hostname}${facts.labels['app'] ? ` · ${facts.labels['app']}` : ''}${health === 'healthy' ? '' : ` · ${t(`health.${health}`)}`}`,
                  disabled: health === 'lost',
                }))}
              />
              <Input value={path} onChange={(event) => setPath(event.target.value)} placeholder="/var/log/app.log" aria-label={t('sample.file')} className="mono" style={{ flex: '3 1 280px' }} data-testid="sample-path" />
              <Button icon={<FolderOpenOutlined />} disabled={!agent} onClick={() => setBrowsing(true)} data-testid="sample-browse">{t('sample.browse')}</Button>
              <Button type="primary" ghost disabled={!agent || !path.startsWith('/')} loading={preview.isPending} onClick={() => preview.mutate(path)} data-testid="sample-read">{t('sample.read')}</Button>
            </div>
          )}
          {preview.error && <Failure error={preview.error} />}
          {preview.isSuccess && paths.length > 0 && !isMonitored(preview.variables, paths) && (
            <Alert
              type="info"
              showIcon
              data-testid="sample-apart"
              title={t('sample.apart', { file: preview.variables })}
              action={<Button size="small" onClick={() => onMonitor(preview.variables)} data-testid="sample-monitor">{t('sample.monitor')}</Button>}
            />
          )}
          {preview.data?.lines.length === 0 && <Nothing title={t('sample.emptyFile')} />}
        </>
      ) : (
        <>
          <Input.TextArea
            className="mono"
            value={pasted}
            onChange={(event) => {
              setPasted(event.target.value);
              onLines(event.target.value.split(/\r?\n/).filter((line) => line !== '').slice(0, 200));
            }}
            placeholder={t('sample.pasteHelp')}
            aria-label={t('sample.paste')}
            autoSize={{ minRows: 4, maxRows: 10 }}
            spellCheck={false}
            data-testid="sample-paste"
          />
        </>
      )}
      {browsing && agent && (
        <FileBrowser
          agent={agent}
          hostname={chosen?.facts.hostname ?? agent}
          start={path.startsWith('/') ? parentOf(path) : '/var/log'}
          onClose={() => setBrowsing(false)}
          onChoose={(file) => {
            setBrowsing(false);
            setPath(file);
            preview.mutate(file);
          }}
        />
      )}
    </div>
  );
}

interface BrowserProps {
  agent: string;
  hostname: string;
  start: string;
  onChoose: (path: string) => void;
  onClose: () => void;
}

function FileBrowser({ agent, hostname, start, onChoose, onClose }: BrowserProps) {
  const { t } = useTranslation();
  const run = useAgentTask();
  const [root, setRoot] = useState(start);
  const [typed, setTyped] = useState(start);
  const listing = useQuery({
    queryKey: ['files', agent, root],
    queryFn: async () => (await run(agent, { list_files: { root, limit: 1000 } })).files,
    retry: false,
  });
  const go = (path: string) => {
    setRoot(path);
    setTyped(path);
  };
  const parts = root.split('/').filter((part) => part !== '');
  const files = [...(listing.data?.files ?? [])].sort((a, b) => Number(b.directory) - Number(a.directory) || a.path.localeCompare(b.path));

  return (
    <Modal open title={t('sample.filesOn', { host: hostname })} footer={null} onCancel={onClose} width={760}>
      <div className="stack" style={{ gap: 10 }}>
        <Input.Search value={typed} onChange={(event) => setTyped(event.target.value)} onSearch={(path) => path.startsWith('/') && go(path)} enterButton={t('sample.open')} className="mono" aria-label={t('sample.folder')} data-testid="browse-root" />
        <Breadcrumb
          items={[
            { key: '/', title: <Button type="link" size="small" onClick={() => go('/')}>/</Button> },
            ...parts.map((part, index) => ({
              key: index,
              title: <Button type="link" size="small" onClick={() => go(`/${parts.slice(0, index + 1).join('/')}`)}>{part}</Button>,
            })),
          ]}
        />
        {listing.error ? <Failure error={listing.error} retry={() => void listing.refetch()} /> : (
          <Table
            size="small"
            rowKey="path"
            loading={listing.isPending}
            dataSource={files}
            pagination={{ pageSize: 12, hideOnSinglePage: true, showSizeChanger: false }}
            locale={{ emptyText: listing.isPending ? ' ' : <Nothing title={t('sample.emptyFolder')} /> }}
            columns={[
              {
                title: t('sample.file'),
                key: 'path',
                render: (_, file) => (
                  <Button
                    type="link"
                    size="small"
                    disabled={!file.readable}
                    icon={file.directory ? <FolderOutlined /> : file.readable ? <FileTextOutlined /> : <LockOutlined />}
                    onClick={() => (file.directory ? go(file.path) : onChoose(file.path))}
                    data-testid={`file:${file.path}`}
                    style={{ whiteSpace: 'normal', height: 'auto', textAlign: 'start', overflowWrap: 'anywhere' }}
                  >
                    {file.path.slice(root === '/' ? 1 : root.length + 1) || file.path}
                  </Button>
                ),
              },
              { title: t('sample.size'), key: 'size', width: 100, align: 'end', render: (_, file) => (file.directory ? '' : bytes(file.sizeBytes)) },
              { title: t('sample.modified'), key: 'modified', width: 130, responsive: ['sm'], render: (_, file) => <TimeText value={file.modifiedAt} /> },
            ]}
          />
        )}
        {listing.data?.truncated && <div className="muted">{t('sample.truncated')}</div>}
      </div>
    </Modal>
  );
}
