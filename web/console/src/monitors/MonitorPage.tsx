import { BellOutlined, EditOutlined } from '@ant-design/icons';
import { useQuery } from '@tanstack/react-query';
import { Alert as Notice, Button, Card, Select, Table } from 'antd';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { Link, useParams } from 'react-router';
import { api, resourcePath } from '@/api/client';
import type { Alert, AlertRuleSpec, MonitorSpec, MonitorStatus, Page as PageOf, Resource } from '@/api/types';
import { AlertTable } from '@/alerts/AlertTable';
import { resourcesKey } from '@/documents/draft';
import { HistoryButton } from '@/documents/History';
import { useResources } from '@/documents/ResourcePage';
import { Failure } from '@/parts/Failure';
import { Loading } from '@/parts/Loading';
import { Nothing, Page } from '@/parts/Page';
import { EnabledTag, HealthTag, LevelTag } from '@/parts/tags';
import { TimeText } from '@/parts/TimeText';
import { useSession } from '@/session';
import { FigureChart } from './FigureChart';
import { FigureTable } from './FigureTable';
import { RangePicker } from './RangePicker';
import { useWindows, type Range } from './windows';

export function Component() {
  const { t } = useTranslation();
  const { workspace, link, can } = useSession();
  const { name = '' } = useParams();
  const monitor = useQuery({
    queryKey: [...resourcesKey(workspace, 'monitors'), name],
    queryFn: ({ signal }) => api.get<Resource<MonitorSpec>>(resourcePath(workspace, 'monitors', name), { signal }),
  });
  if (monitor.error) return <div className="page"><Failure error={monitor.error} retry={() => void monitor.refetch()} /></div>;
  if (!monitor.data) return <Loading />;
  const { metadata, spec } = monitor.data;

  return (
    <Page
      title={metadata.displayName || metadata.name}
      extra={<><EnabledTag enabled={spec.enabled !== false} />{metadata.displayName && <span className="muted">{metadata.name}</span>}{metadata.folder && <Link to={link(`monitors?folder=${encodeURIComponent(metadata.folder)}`)}>{metadata.folder}</Link>}</>}
      actions={
        <>
          <HistoryButton plural="monitors" name={name} />
          {can('editor') && <Link to={link(`alert-rules/new?monitor=${name}`)}><Button icon={<BellOutlined />}>{t('rule.createFor')}</Button></Link>}
          <Link to={link(`monitors/${name}/edit`)}><Button type="primary" icon={<EditOutlined />} data-testid="monitor-edit">{t(can('editor') ? 'action.edit' : 'action.show')}</Button></Link>
        </>
      }
    >
      <div className="grid">
        <Figures name={name} spec={spec} />
        <Status name={name} />
        <Rules name={name} />
        <Alerts name={name} />
      </div>
    </Page>
  );
}

function useStatus(name: string) {
  const { workspace } = useSession();
  return useQuery({
    queryKey: ['monitor-status', workspace, name],
    queryFn: ({ signal }) => api.get<MonitorStatus>(`${resourcePath(workspace, 'monitors', name)}/status`, { signal }),
    refetchInterval: 15_000,
  });
}

function Figures({ name, spec }: { name: string; spec: MonitorSpec }) {
  const { t } = useTranslation();
  const [range, setRange] = useState<Range>({ span: 3_600_000 });
  const stats = spec.stats ?? [];
  const [stat, setStat] = useState(stats[0]?.name ?? '');
  const [by, setBy] = useState<string[]>(spec.group_by ?? []);
  const query = useWindows({ monitor: name, range, by });
  const status = useStatus(name);
  const hosts = new Map((status.data?.agents ?? []).map(({ id, hostname }) => [id, hostname ?? id]));
  const chosen = stats.find((one) => one.name === stat) ?? stats[0];

  return (
    <Card
      size="small"
      className="span-12"
      title={
        <div className="row" style={{ padding: '8px 0', whiteSpace: 'normal' }}>
          <Select value={chosen?.name} onChange={setStat} options={stats.map((one) => ({ value: one.name, label: one.name }))} aria-label={t('stat.title')} style={{ minWidth: 140 }} data-testid="chart-stat" />
          {(spec.group_by ?? []).length > 0 && (
            <Select mode="multiple" value={by} onChange={setBy} options={(spec.group_by ?? []).map((value) => ({ value, label: value }))} placeholder={t('monitor.merged')} aria-label={t('monitor.keepApart')} style={{ minWidth: 180 }} />
          )}
          <RangePicker range={range} onChange={setRange} />
        </div>
      }
    >
      {query.error ? <Failure error={query.error} retry={() => void query.refetch()} /> : !query.data ? <Loading /> : query.data.windows.series.length === 0 && query.data.windows.completeness.length === 0 ? (
        <Nothing title={t('monitor.noFigures')} help={t('monitor.noFiguresHelp')} />
      ) : (
        <>
          {query.data.windows.truncated && <Notice type="info" showIcon title={t('monitor.truncated', { count: query.data.windows.series.length })} style={{ marginBottom: 8 }} />}
          <FigureChart windows={query.data.windows} bounds={query.data.bounds} stat={chosen} hosts={hosts} />
          <FigureTable windows={query.data.windows} stepMs={query.data.bounds.step.ms} hosts={hosts} />
        </>
      )}
    </Card>
  );
}

function Status({ name }: { name: string }) {
  const { t } = useTranslation();
  const { link } = useSession();
  const status = useStatus(name);
  if (status.error) return <div className="span-12"><Failure error={status.error} retry={() => void status.refetch()} /></div>;
  return (
    <>
      <Card size="small" className="span-6" title={t('monitor.agents')}>
        {status.data && (
          <div className="row" style={{ marginBottom: 8, gap: 16 }}>
            <span><span className="muted">{t('monitor.completeThrough')}</span> <TimeText value={status.data.completeThrough} absolute /></span>
            <span><span className="muted">{t('agent.files')}</span> {status.data.files}</span>
          </div>
        )}
        <Table
          size="small"
          rowKey="id"
          loading={status.isPending}
          dataSource={status.data?.agents}
          pagination={{ pageSize: 10, hideOnSinglePage: true }}
          scroll={{ x: 'max-content' }}
          locale={{ emptyText: <Nothing title={t('monitor.noAgents')} help={t('monitor.noAgentsHelp')} /> }}
          columns={[
            { title: t('agent.host'), key: 'host', render: (_, agent) => <Link to={link(`agents?id=${agent.id}`)}>{agent.hostname ?? agent.id}</Link> },
            { title: t('agent.health'), key: 'health', render: (_, agent) => (agent.health ? <HealthTag health={agent.health} /> : '–') },
            { title: t('monitor.through'), key: 'through', render: (_, agent) => <TimeText value={agent.through} /> },
          ]}
        />
      </Card>
      <Card size="small" className="span-6" title={t('monitor.faults')}>
        <Table
          size="small"
          rowKey="reason"
          loading={status.isPending}
          dataSource={status.data?.faults}
          pagination={false}
          locale={{ emptyText: <Nothing title={t('monitor.noFaults')} /> }}
          columns={[
            { title: t('monitor.reason'), key: 'reason', width: 140, render: (_, fault) => t(`fault.${fault.reason}`, { defaultValue: fault.reason }) },
            { title: t('monitor.lastHour'), key: 'lastHour', align: 'end', width: 90, render: (_, fault) => fault.lastHour },
            { title: t('monitor.example'), key: 'example', render: (_, fault) => <span className="mono" style={{ whiteSpace: 'pre-wrap', overflowWrap: 'anywhere' }}>{fault.example ?? '–'}</span> },
          ]}
        />
      </Card>
    </>
  );
}

function Rules({ name }: { name: string }) {
  const { t } = useTranslation();
  const { link, can } = useSession();
  const rules = useResources<AlertRuleSpec>('alert-rules');
  const own = (rules.data ?? []).filter(({ spec }) => spec.monitor === name);
  return (
    <Card size="small" className="span-6" title={t('nav.alert-rules')}>
      {rules.error ? <Failure error={rules.error} retry={() => void rules.refetch()} /> : rules.data && own.length === 0 ? (
        <Nothing title={t('monitor.noRules')}>{can('editor') && <Link to={link(`alert-rules/new?monitor=${name}`)}><Button>{t('rule.createFor')}</Button></Link>}</Nothing>
      ) : (
        own.map(({ metadata, spec }) => (
          <div key={metadata.name} className="row" style={{ padding: '4px 0' }}>
            <LevelTag level={spec.level ?? 'P2'} />
            <Link to={link(`alert-rules/${metadata.name}`)}>{metadata.displayName || metadata.name}</Link>
            <EnabledTag enabled={spec.enabled !== false} />
          </div>
        ))
      )}
    </Card>
  );
}

function Alerts({ name }: { name: string }) {
  const { t } = useTranslation();
  const { workspace } = useSession();
  const alerts = useQuery({
    queryKey: ['alerts', workspace, { monitor: name, limit: 10 }],
    queryFn: ({ signal }) => api.get<PageOf<Alert>>(resourcePath(workspace, 'alerts'), { query: { monitor: name, limit: 10 }, signal }),
    refetchInterval: 15_000,
  });
  return (
    <Card size="small" className="span-6" title={t('nav.alerts')}>
      {alerts.error ? <Failure error={alerts.error} retry={() => void alerts.refetch()} /> : <AlertTable alerts={alerts.data?.items ?? []} loading={alerts.isPending} compact />}
    </Card>
  );
}
