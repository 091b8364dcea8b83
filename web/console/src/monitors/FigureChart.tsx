import { useMemo } from 'react';
import { useTranslation } from 'react-i18next';
import type { Windows } from '@/api/types';
import { blindStretches } from '@/chart/blind';
import { marksOf } from '@/chart/completeness';
import type { ChartModel, Threshold } from '@/chart/model';
import { TimeChart } from '@/chart/TimeChart';
import { useSession } from '@/session';
import { axisOf, chartSeries, writer, type Statistic } from './figures';
import type { Bounds } from './windows';

interface Props {
  monitor: string;
  windows: Windows;
  bounds: Bounds;
  stat: Statistic;
  thresholds?: readonly Threshold[];
  hosts: ReadonlyMap<string, string>;
}

/** A statistic of a monitor: a line for each key. */
export function FigureChart({ monitor, windows, bounds, stat, thresholds, hosts }: Props) {
  const { t, i18n } = useTranslation();
  const { workspace } = useSession();
  const { name, fn } = stat;
  const model = useMemo<ChartModel>(() => {
    const marks = marksOf(windows.completeness);
    const blind = blindStretches(windows.blind, { from: bounds.from, until: bounds.until, stepMs: bounds.step.ms });
    return { series: chartSeries(windows, { name, fn }, marks), marks, blind, from: bounds.from, until: bounds.until, stepMs: bounds.step.ms, thresholds, axis: axisOf({ name, fn }), write: writer({ name, fn }, i18n.language) };
  }, [windows, bounds, name, fn, thresholds, i18n.language]);
  return <TimeChart name={`${workspace}/${monitor}/${windows.by.join()}`} model={model} label={`${name}: ${t('monitor.chartLabel', { count: model.series.length })}`} hosts={hosts} />;
}
