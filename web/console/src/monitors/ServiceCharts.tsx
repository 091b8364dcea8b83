/** A service as a whole: how much, how well, how fast, one below the other on the same time axis. */

import { useMemo } from 'react';
import { useTranslation } from 'react-i18next';
import type { Windows } from '@/api/types';
import { blindStretches } from '@/chart/blind';
import { marksOf } from '@/chart/completeness';
import type { ChartModel } from '@/chart/model';
import { TimeChart } from '@/chart/TimeChart';
import { useSession } from '@/session';
import { axisOf, statSeries, writer, type Statistic } from './figures';
import type { Bounds } from './windows';

interface Props {
  monitor: string;
  windows: Windows;
  bounds: Bounds;
  stats: readonly Statistic[];
  hosts: ReadonlyMap<string, string>;
}

const PANELS = [
  { title: 'service.volume', fns: ['lines', 'success', 'failure'] },
  { title: 'service.rate', fns: ['success_rate'] },
  { title: 'service.costAvg', fns: ['avg'] },
] as const;

export function ServiceCharts({ monitor, windows, bounds, stats, hosts }: Props) {
  const { t, i18n } = useTranslation();
  const { workspace } = useSession();
  const panels = useMemo(() => {
    const marks = marksOf(windows.completeness);
    const blind = blindStretches(windows.blind, { from: bounds.from, until: bounds.until, stepMs: bounds.step.ms });
    return PANELS.flatMap(({ title, fns }) => {
      const own = stats.filter(({ fn }) => fns.some((one) => one === fn));
      const first = own[0];
      if (!first) return [];
      const model: ChartModel = { series: statSeries(windows, own, marks), marks, blind, from: bounds.from, until: bounds.until, stepMs: bounds.step.ms, axis: axisOf(first), write: writer(first, i18n.language) };
      return [{ title, model }];
    });
  }, [windows, bounds, stats, i18n.language]);
  return (
    <div className="stack">
      {panels.map(({ title, model }, index) => (
        <section key={title}>
          <h3 className="panel-title">{t(title)}</h3>
          <TimeChart name={`${workspace}/${monitor}/${title}`} model={model} label={`${t(title)}: ${t('monitor.chartLabel', { count: model.series.length })}`} hosts={hosts} height={index === 0 ? 240 : 180} strip={index === panels.length - 1} />
        </section>
      ))}
    </div>
  );
}
