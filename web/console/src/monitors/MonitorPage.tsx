import { BellOutlined, EditOutlined } from '@ant-design/icons';
import { useQuery } from '@tanstack/react-query';
import { Button, Card } from 'antd';
import { useTranslation } from 'react-i18next';
import { Link, useParams } from 'react-router';
import { api, resourcePath } from '@/api/client';
import type { Alert, AlertRuleSpec, MonitorSpec, Page as PageOf, Resource } from '@/api/types';
import { AlertTable } from '@/alerts/AlertTable';
import { resourcesKey } from '@/documents/draft';
import { HistoryButton } from '@/documents/History';
import { useResources } from '@/documents/ResourcePage';
import { Failure } from '@/parts/Failure';
import { Loading } from '@/parts/Loading';
import { Nothing, Page } from '@/parts/Page';
import { EnabledTag, LevelTag } from '@/parts/tags';
import { useSession } from '@/session';
import { MonitorFigures } from './MonitorFigures';
import { MonitorStatusCards } from './MonitorStatusCards';
import { ReadingNotice, ReadingTag, useCondition } from './Reading';
import { useMonitorStatus } from './status';

export function Component() {
  const { workspace } = useSession();
  const { name = '' } = useParams();
  const monitor = useQuery({
    queryKey: [...resourcesKey(workspace, 'monitors'), name],
    queryFn: ({ signal }) => api.get<Resource<MonitorSpec>>(resourcePath(workspace, 'monitors', name), { signal }),
  });
  if (monitor.error) return <div className="page"><Failure error={monitor.error} retry={() => void monitor.refetch()} /></div>;
  if (!monitor.data) return <Loading />;
  return <MonitorView key={name} monitor={monitor.data} />;
}

function MonitorView({ monitor }: { monitor: Resource<MonitorSpec> }) {
  const { t } = useTranslation();
  const { link, can } = useSession();
  const { metadata } = monitor;
  const { name } = metadata;
  const reading = useMonitorStatus(name).data?.reading;
  const condition = useCondition(monitor, reading);

  return (
    <Page
      title={metadata.displayName || metadata.name}
      extra={<><ReadingTag condition={condition} reading={reading} />{metadata.displayName && <span className="muted">{metadata.name}</span>}{metadata.folder && <Link to={link(`monitors?folder=${encodeURIComponent(metadata.folder)}`)}>{metadata.folder}</Link>}</>}
      actions={
        <>
          <HistoryButton plural="monitors" name={name} />
          {can('editor') && <Link to={link(`alert-rules/new?monitor=${name}`)}><Button icon={<BellOutlined />}>{t('rule.createFor')}</Button></Link>}
          <Link to={link(`monitors/${name}/edit`)}><Button type="primary" icon={<EditOutlined />} data-testid="monitor-edit">{t(can('editor') ? 'action.edit' : 'action.show')}</Button></Link>
        </>
      }
    >
      <div className="grid">
        <ReadingNotice condition={condition} reading={reading} />
        <MonitorFigures monitor={monitor} />
        <MonitorStatusCards name={name} />
        <Rules name={name} />
        <Alerts name={name} />
      </div>
    </Page>
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
