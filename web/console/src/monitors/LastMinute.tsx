import { useTranslation } from 'react-i18next';
import type { MonitorSpec, Resource } from '@/api/types';
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
  const { windows } = query.data;
  const stats = (spec.stats ?? []).slice(0, 2);
  const latest = latestFigure(windows, marksOf(windows.completeness));
  if (!latest) return <BeginningText metadata={metadata} widthMs={60_000} />;
  return (
    <span className="row" style={{ gap: 4 }} data-testid={`last-minute-${metadata.name}`}>
      {stats.map(({ name }) => <span key={name} style={{ whiteSpace: 'nowrap' }}><span className="muted">{name}</span> <strong>{figure(latest.values[name], i18n.language)}</strong></span>)}
      <CompletenessTag mark={latest.behind ?? latest.mark} hosts={hosts} />
      <span className="muted">{shortTime(latest.time, now, i18n.language)}</span>
    </span>
  );
}
