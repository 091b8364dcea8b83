import { Tag, Tooltip } from 'antd';
import { useTranslation } from 'react-i18next';
import type { MonitorSpec, Resource } from '@/api/types';
import { blindAt, blindStretches } from '@/chart/blind';
import { marksOf } from '@/chart/completeness';
import { figure, shortTime } from '@/parts/format';
import { CompletenessTag } from '@/parts/tags';
import { useNow } from '@/parts/TimeText';
import { BeginningText } from './Beginning';
import { latestFigure } from './figures';
import { useWindows } from './windows';

interface Props {
  monitor: Resource<MonitorSpec>;
  hosts: ReadonlyMap<string, string>;
}

/** A monitor's figures of the newest minute that can be trusted; when a newer one lacks something, that it does. */
export function LastMinute({ monitor: { metadata, spec }, hosts }: Props) {
  const { t, i18n } = useTranslation();
  const now = useNow();
  const query = useWindows({ monitor: metadata.name, range: { span: 600_000 }, by: [], limit: 1 });
  if (query.error) return <span className="muted">{t('state.unavailable')}</span>;
  if (!query.data) return <span className="muted">…</span>;
  const { windows, bounds } = query.data;
  const stats = (spec.stats ?? []).slice(0, 2);
  const latest = latestFigure(windows, marksOf(windows.completeness));
  if (!latest) return <BeginningText metadata={metadata} widthMs={60_000} />;
  // Whole as it may be, a minute of which nothing could be read is no healthy one.
  const blind = blindAt(blindStretches(windows.blind, { from: bounds.from, until: bounds.until, stepMs: bounds.step.ms }), latest.time);
  return (
    <span className="row" style={{ gap: 4 }} data-testid={`last-minute-${metadata.name}`}>
      {stats.map(({ name }) => <span key={name} style={{ whiteSpace: 'nowrap' }}><span className="muted">{name}</span> <strong>{figure(latest.values[name], i18n.language)}</strong></span>)}
      {blind ? (
        <Tooltip title={`${t('blind.title')} · ${t(`blind.${blind.reason}`)}`}><Tag color="red" data-testid="blind">{t(`reading.${blind.reason}`)}</Tag></Tooltip>
      ) : <CompletenessTag mark={latest.mark} hosts={hosts} />}
      <span className="muted">{shortTime(latest.time, now, i18n.language)}</span>
      {latest.behind && (
        <>
          <CompletenessTag mark={latest.behind} hosts={hosts} />
          <span className="muted">{shortTime(latest.behind.time, now, i18n.language)}</span>
        </>
      )}
    </span>
  );
}
