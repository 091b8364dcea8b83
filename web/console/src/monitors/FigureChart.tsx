import { format, type EChartsCoreOption } from 'echarts/core';
import { useMemo } from 'react';
import { useTranslation } from 'react-i18next';
import type { Stat, Windows } from '@/api/types';
import { Chart } from '@/parts/Chart';
import { absoluteTime, figure, keysText } from '@/parts/format';
import { CompletenessStrip } from './CompletenessStrip';
import { chartLine, marksByStep } from './series';
import type { boundsOf } from './windows';

interface Props {
  windows: Windows;
  bounds: ReturnType<typeof boundsOf>;
  stat: Stat | undefined;
  hosts: Map<string, string>;
}

interface TooltipItem {
  marker: string;
  seriesName: string;
  value: [number, number | null];
}

const SIDES = { left: 64, right: 16 };

/** A line for each key, and under it how complete its minutes are. */
export function FigureChart({ windows, bounds, stat, hosts }: Props) {
  const { t, i18n } = useTranslation();
  const language = i18n.language;
  const marks = useMemo(() => marksByStep(windows.completeness, bounds.step.ms), [windows, bounds]);

  const option = useMemo<EChartsCoreOption>(() => {
    const states = new Map(marks.map((mark) => [mark.time, mark]));
    const many = windows.series.length > 1;
    return {
      grid: { ...SIDES, top: many ? 36 : 16, bottom: 28 },
      legend: { show: many, type: 'scroll', top: 0 },
      xAxis: { type: 'time', min: bounds.from, max: bounds.until },
      yAxis: { type: 'value', axisLabel: { formatter: (value: number) => figure(value, language) } },
      tooltip: {
        trigger: 'axis',
        confine: true,
        // Names of keys come from log lines: they are shown as text, never as markup.
        formatter: (items: TooltipItem[]) => {
          const at = items[0]?.value[0];
          if (at === undefined) return '';
          const mark = states.get(at);
          const rows = items
            .filter(({ value }) => value[1] !== null)
            .map(({ marker, seriesName, value }) => `${marker}${format.encodeHTML(seriesName)} <b>${figure(value[1], language)}</b>`);
          return [absoluteTime(at, language), mark ? t(`completeness.${mark.state}`) : '', ...rows].filter((row) => row !== '').join('<br>');
        },
      },
      series: windows.series.map((one) => ({
        type: 'line',
        name: keysText(one.keys) || (stat?.name ?? ''),
        data: stat ? chartLine(one, stat.name, stat.fn, marks) : [],
        showSymbol: marks.length < 15,
        symbolSize: 5,
        connectNulls: false,
        lineStyle: { width: 2 },
      })),
    };
  }, [windows, bounds, stat, marks, language, t]);

  return (
    <>
      <Chart option={option} label={`${stat?.name ?? ''}: ${t('monitor.chartLabel', { count: windows.series.length })}`} />
      <div style={{ marginInlineStart: SIDES.left, marginInlineEnd: SIDES.right }}>
        <CompletenessStrip marks={marks} series={windows.series} from={bounds.from} until={bounds.until} stepMs={bounds.step.ms} hosts={hosts} />
      </div>
    </>
  );
}
