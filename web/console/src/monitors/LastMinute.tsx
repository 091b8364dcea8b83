import { useTranslation } from 'react-i18next';
import type { MonitorSpec } from '@/api/types';
import { figure, shortTime } from '@/parts/format';
import { CompletenessTag } from '@/parts/tags';
import { useNow } from '@/parts/TimeText';
import { isComplete, latestFigure, marksByStep } from './series';
import { useWindows } from './windows';

/** A monitor's figures of the newest minute that can be trusted. */
export function LastMinute({ name, spec }: { name: string; spec: MonitorSpec }) {
  const { t, i18n } = useTranslation();
  const now = useNow();
  const query = useWindows({ monitor: name, range: { span: 600_000 }, by: [], limit: 1 });
  if (query.error) return <span className="muted">{t('state.unavailable')}</span>;
  if (!query.data) return <span className="muted">…</span>;
  const { windows, bounds } = query.data;
  const latest = latestFigure(windows.series[0], marksByStep(windows.completeness, bounds.step.ms));
  if (!latest) return <span className="muted">{t('monitor.noFigures')}</span>;
  return (
    <span className="row" style={{ gap: 4 }} data-testid={`last-minute-${name}`}>
      {(spec.stats ?? []).slice(0, 2).map((stat) => {
        const value = latest.values[stat.name] ?? (stat.fn === 'lines' && latest.mark && isComplete(latest.mark.state) ? 0 : null);
        return <span key={stat.name} style={{ whiteSpace: 'nowrap' }}><span className="muted">{stat.name}</span> <strong>{figure(value, i18n.language)}</strong></span>;
      })}
      {latest.mark && <CompletenessTag state={latest.mark.state} missing={latest.mark.missing} count={latest.mark.missingCount} />}
      <span className="muted">{shortTime(latest.time, now, i18n.language)}</span>
    </span>
  );
}
