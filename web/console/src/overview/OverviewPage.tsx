import { useQuery } from '@tanstack/react-query';
import { Button, Card, Statistic, Table, Tag } from 'antd';
import type { EChartsCoreOption } from 'echarts/core';
import { lazy, Suspense, useMemo, type ReactNode } from 'react';
import { useTranslation } from 'react-i18next';
import { Link } from 'react-router';
import { api, resourcePath } from '@/api/client';
import { HEALTHS, LEVELS, type MonitorSpec, type Overview } from '@/api/types';
import { AlertTable } from '@/alerts/AlertTable';
import { useResources } from '@/documents/ResourcePage';
import { Failure } from '@/parts/Failure';
import { Loading } from '@/parts/Loading';
import { Nothing, Page } from '@/parts/Page';
import { HEALTH_COLOURS, LEVEL_COLOURS } from '@/parts/tags';
import { TimeText, useNow } from '@/parts/TimeText';
import { ReadingTag, ReadingWhy } from '@/monitors/Reading';
import { useReadings } from '@/monitors/readings';
import { useAgents } from '@/monitors/SampleSource';
import { useSession } from '@/session';
import { attention, type Attention } from './attention';

const Chart = lazy(async () => ({ default: (await import('@/parts/Chart')).Chart }));

export function Component() {
  const { t } = useTranslation();
  const { workspace, link, can } = useSession();
  const overview = useQuery({
    queryKey: ['overview', workspace],
    queryFn: ({ signal }) => api.get<Overview>(resourcePath(workspace, 'overview'), { signal }),
    refetchInterval: 60_000,
  });
  const all = useResources<MonitorSpec>('monitors');
  const readings = useReadings();
  const now = useNow();
  if (overview.error) return <div className="page"><Failure error={overview.error} retry={() => void overview.refetch()} /></div>;
  if (!overview.data) return <Loading />;
  const { monitors, agents, firing, trend, latest, incomplete } = overview.data;
  const toLookAt = attention(incomplete, all.data ?? [], readings.data ?? new Map(), now);
  const looked = all.data !== undefined && readings.data !== undefined;
  const sum = (counts: Record<string, number>) => Object.values(counts).reduce((a, b) => a + b, 0);

  return (
    <Page title={t('nav.overview')} extra={<span className="muted">{t('overview.updated')} <TimeText value={new Date(overview.dataUpdatedAt).toISOString()} absolute /></span>}>
      <div className="grid">
        {sum(agents) === 0 && (
          <Card size="small" className="span-12">
            <Nothing title={t('overview.start')} help={t('overview.startHelp')}>
              <span className="row" style={{ justifyContent: 'center' }}>
                <Link to={link('agents')}><Button type="primary">{t('agent.install')}</Button></Link>
                {can('editor') && <Link to={link('monitors/new')}><Button>{t('monitor.create')}</Button></Link>}
              </span>
            </Nothing>
          </Card>
        )}
        <Tile to={link('monitors')} title={t('overview.monitors')} value={monitors.enabled} suffix={` / ${monitors.total}`} note={t('overview.monitorsNote')} />
        <Tile
          to={link('agents')}
          title={t('overview.agents')}
          value={agents.healthy}
          suffix={` / ${sum(agents)}`}
          note={HEALTHS.filter((health) => health !== 'healthy' && agents[health] > 0).map((health) => <Tag key={health} color={HEALTH_COLOURS[health]}>{t(`health.${health}`)} {agents[health]}</Tag>)}
        />
        <Tile
          to={link('alerts?status=firing')}
          title={t('overview.firing')}
          value={sum(firing)}
          danger={sum(firing) > 0}
          note={LEVELS.filter((level) => (firing[level] ?? 0) > 0).map((level) => <Tag key={level} color={LEVEL_COLOURS[level]}>{level} {firing[level]}</Tag>)}
        />
        <Tile to={link('monitors')} title={t('overview.incomplete')} value={looked ? toLookAt.length : incomplete.length} danger={toLookAt.length > 0} note={t('overview.incompleteNote')} />
        <Card size="small" className="span-6" title={t('overview.trend')}><Trend trend={trend} /></Card>
        <Card size="small" className="span-6" title={t('overview.incompleteMonitors')}>{readings.error && !readings.data ? <Failure error={readings.error} retry={() => void readings.refetch()} /> : <LookAt items={toLookAt} loading={!looked} />}</Card>
        <Card size="small" className="span-12" title={t('overview.latest')} extra={<Link to={link('alerts')}>{t('overview.all')}</Link>} styles={{ body: { padding: 0 } }}>
          <AlertTable alerts={latest} loading={false} />
        </Card>
      </div>
    </Page>
  );
}

function Tile({ to, title, value, suffix, note, danger = false }: { to: string; title: string; value: number; suffix?: string; note: ReactNode; danger?: boolean }) {
  return (
    <Link to={to} className="span-3 half-on-phone" style={{ display: 'block' }}>
      <Card size="small" hoverable style={{ height: '100%' }}>
        <Statistic title={title} value={value} suffix={suffix} styles={danger ? { content: { color: '#f5222d' } } : undefined} />
        <div className={typeof note === 'string' ? 'muted' : 'row'} style={{ gap: 4, minHeight: 24, marginTop: 4, fontSize: 12 }}>{note}</div>
      </Card>
    </Link>
  );
}

function Trend({ trend }: { trend: Overview['trend'] }) {
  const { t } = useTranslation();
  const option = useMemo<EChartsCoreOption>(
    () => ({
      grid: { left: 36, right: 8, top: 12, bottom: 24 },
      tooltip: { trigger: 'axis', confine: true },
      xAxis: { type: 'time' },
      yAxis: { type: 'value', minInterval: 1 },
      series: [{ type: 'bar', name: t('overview.started'), data: trend.map(({ time, count }) => [Date.parse(time), count]), itemStyle: { color: '#fa541c' }, barMaxWidth: 18 }],
    }),
    [trend, t],
  );
  return <Suspense fallback={<Loading />}><Chart option={option} height={220} label={t('overview.trend')} /></Suspense>;
}

function LookAt({ items, loading }: { items: Attention[]; loading: boolean }) {
  const { t } = useTranslation();
  const { link } = useSession();
  const agents = useAgents();
  const host = (id: string) => agents.data?.find((agent) => agent.id === id)?.facts.hostname ?? id;
  return (
    <Table
      size="small"
      rowKey="monitor"
      dataSource={items}
      loading={loading}
      pagination={{ pageSize: 5, hideOnSinglePage: true }}
      scroll={{ x: 'max-content' }}
      data-testid="look-at"
      locale={{ emptyText: loading ? ' ' : <Nothing title={t('overview.allComplete')} /> }}
      columns={[
        { title: t('kind.monitors'), key: 'monitor', render: (_, one) => <Link to={link(`monitors/${one.monitor}`)}>{one.title}</Link> },
        {
          title: t('overview.why'),
          key: 'why',
          render: (_, one) => (
            <>
              <span className="row" style={{ gap: 4 }}>
                <ReadingTag condition={one.condition} reading={one.reading} />
                {one.missing.length > 0 && <>{t('overview.waitingFor')} {one.missing.map((id) => <Tag key={id} color="orange">{host(id)}</Tag>)}</>}
                {!one.condition && one.missing.length === 0 && t('overview.nobodyCollects')}
              </span>
              <ReadingWhy condition={one.condition} reading={one.reading} short />
            </>
          ),
        },
        { title: t('monitor.completeThrough'), key: 'through', render: (_, one) => <TimeText value={one.completeThrough} /> },
      ]}
    />
  );
}
