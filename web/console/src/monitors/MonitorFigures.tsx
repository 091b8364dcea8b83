import { Alert as Notice, Card, Select, Tag } from 'antd';
import { useMemo, useState } from 'react';
import { useTranslation } from 'react-i18next';
import type { AlertRuleSpec, MonitorSpec, Resource } from '@/api/types';
import { marksOf } from '@/chart/completeness';
import { useResources } from '@/documents/ResourcePage';
import { Failure } from '@/parts/Failure';
import { Loading } from '@/parts/Loading';
import { thresholdsOf } from '@/rules/thresholds';
import { Beginning } from './Beginning';
import { FigureChart } from './FigureChart';
import { FigureTable } from './FigureTable';
import { hasBegun, type Step } from './figures';
import { KeptNotice } from './KeptNotice';
import { RangePicker } from './RangePicker';
import { ServiceCharts } from './ServiceCharts';
import { ServiceTable } from './ServiceTable';
import { familyOf, widthOf } from './spec';
import { useMonitorStatus } from './status';
import { TopFigures } from './TopFigures';
import { useWindows, type Range } from './windows';

/** A monitor's figures over a time: chart and table. */
export function MonitorFigures({ monitor: { metadata, spec } }: { monitor: Resource<MonitorSpec> }) {
  const { t } = useTranslation();
  const family = familyOf(spec.type);
  const widthMs = widthOf(spec.type);
  // A longer step than suits the range, where finer windows are not kept.
  const [longer, setLonger] = useState<Step>();
  const [range, setRange] = useState<Range>({ span: widthMs < 60_000 ? 300_000 : 3_600_000 });
  const stats = useMemo(() => spec.stats ?? [], [spec.stats]);
  const [stat, setStat] = useState(stats[0]?.name ?? '');
  const [by, setBy] = useState<string[]>(spec.group_by ?? []);
  const isTop = family === 'minute_top';
  const query = useWindows({ monitor: metadata.name, range, widthMs: Math.max(widthMs, longer?.ms ?? 0), ...(isTop ? { limit: spec.top?.n } : { by }) });
  const status = useMonitorStatus(metadata.name);
  const hosts = useMemo(() => new Map((status.data?.agents ?? []).map(({ id, hostname }) => [id, hostname ?? id])), [status.data]);
  const chosen = stats.find((one) => one.name === stat) ?? stats[0];
  const rules = useResources<AlertRuleSpec>('alert-rules');
  const thresholds = useMemo(() => thresholdsOf(rules.data ?? [], metadata.name, chosen?.name ?? '', by), [rules.data, metadata.name, chosen?.name, by]);
  // A service that is not grouped is shown whole.
  const whole = family === 'service_metrics' && by.length === 0;
  const live = query.data !== undefined && query.data.bounds.step.ms < 60_000 && 'span' in range;
  const begun = query.data && hasBegun(marksOf(query.data.windows.completeness));

  const changeRange = (next: Range) => {
    setRange(next);
    setLonger(undefined);
  };

  return (
    <Card
      size="small"
      className="span-12"
      title={
        <div className="row" style={{ padding: '8px 0', whiteSpace: 'normal' }}>
          {!whole && <Select value={chosen?.name} onChange={setStat} options={stats.map((one) => ({ value: one.name, label: one.name }))} aria-label={t('stat.title')} style={{ minWidth: 140 }} data-testid="chart-stat" />}
          {!isTop && (spec.group_by ?? []).length > 0 && (
            <Select mode="multiple" value={by} onChange={setBy} options={(spec.group_by ?? []).map((value) => ({ value, label: value }))} placeholder={t('monitor.merged')} aria-label={t('monitor.keepApart')} style={{ minWidth: 180 }} />
          )}
          <RangePicker range={range} short={widthMs < 60_000} onChange={changeRange} />
          {longer && <Tag closable onClose={() => setLonger(undefined)} data-testid="longer-step">{t('kept.shown', { step: t(`step.${longer.text}`) })}</Tag>}
          {live && <Tag color="processing" data-testid="live">{t('monitor.live')}</Tag>}
        </div>
      }
    >
      {query.error ? <Failure error={query.error} retry={() => void query.refetch()} /> : !query.data || !chosen ? <Loading /> : (
        <>
          <KeptNotice windows={query.data.windows} step={query.data.bounds.step} onStep={setLonger} />
          {!begun && 'span' in range && <Beginning metadata={metadata} widthMs={widthMs} />}
          {(begun || query.data.windows.series.some(({ points }) => points.length > 0)) && (
            <>
              {query.data.windows.truncated && <Notice type="info" showIcon title={t('monitor.truncated', { count: query.data.windows.series.length })} style={{ marginBottom: 8 }} />}
              {family === 'service_metrics' && <ServiceTable windows={query.data.windows} stats={stats} />}
              {isTop && <TopFigures monitor={metadata.name} windows={query.data.windows} bounds={query.data.bounds} stats={stats} stat={chosen} hosts={hosts} />}
              {isTop ? null : whole ? <ServiceCharts monitor={metadata.name} windows={query.data.windows} bounds={query.data.bounds} stats={stats} hosts={hosts} /> : <FigureChart monitor={metadata.name} windows={query.data.windows} bounds={query.data.bounds} stat={chosen} thresholds={thresholds} hosts={hosts} />}
              {!isTop && <FigureTable windows={query.data.windows} stats={stats} hosts={hosts} />}
            </>
          )}
        </>
      )}
    </Card>
  );
}
