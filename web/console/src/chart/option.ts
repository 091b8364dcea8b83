/** A chart as ECharts takes it. Pure, so that what is drawn can be tested without a browser. */

import type { EChartsCoreOption } from 'echarts/core';
import { shownAs, stretches } from './completeness';
import { hasFigures, linesOf, type Pair } from './lines';
import type { ChartModel, ChartSeries } from './model';

export interface Look {
  text: string;
  grid: string;
  /** Of what is not over yet. */
  open: string;
  openBand: string;
  threshold: string;
  background: string;
  colours: ReadonlyMap<string, string>;
}

/** Room for the axis; what stands under the chart keeps the same. */
export const SIDES = { left: 64, right: 16 };

/** Up to so many points all are dotted. */
const DOTTED = 15;

interface Wanted {
  model: ChartModel;
  hidden: ReadonlySet<string>;
  look: Look;
  tooltip: (time: number) => string;
}

export function optionOf({ model, hidden, look, tooltip }: Wanted): EChartsCoreOption {
  const shown = model.series.filter(({ id }) => !hidden.has(id));
  return {
    grid: { ...SIDES, top: 16, bottom: 28 },
    xAxis: { type: 'time', min: model.from, max: model.until, axisLine: { lineStyle: { color: look.grid } }, axisLabel: { color: look.text, hideOverlap: true }, splitLine: { show: false } },
    yAxis: { type: 'value', splitNumber: 4, scale: model.axis?.fit ?? false, minInterval: model.axis?.whole ? 1 : 0, max: (extent: { max: number }) => highest(model, extent.max), axisLabel: { color: look.text, formatter: (value: number) => model.write(value) }, splitLine: { lineStyle: { color: look.grid } } },
    tooltip: {
      trigger: 'axis',
      confine: true,
      transitionDuration: 0,
      axisPointer: { lineStyle: { color: look.text, type: 'solid', width: 1 } },
      formatter: (items: { value: Pair }[]) => (items[0] ? tooltip(items[0].value[0]) : ''),
    },
    series: [backdrop(model, look), ...shown.flatMap((series) => drawn(series, look, shown.length === 1))],
  };
}

/** Room for thresholds above the figures, unless they are so far off that the figures would lie flat; none for the axis' own choice. */
function highest({ thresholds = [], axis }: ChartModel, max: number): number | null {
  if (axis?.max !== undefined) return axis.max;
  const near = thresholds.map(({ value }) => value).filter((value) => value > max && value <= 4 * max);
  return near.length > 0 ? Math.max(...near) * 1.05 : null;
}

/** Windows that are still filling, shaded; thresholds; and a point in each window, so that each has its tooltip. */
function backdrop({ marks, stepMs, thresholds = [] }: ChartModel, look: Look) {
  const open = stretches(marks, stepMs).filter(({ mark }) => shownAs(mark) === 'open');
  return {
    id: 'backdrop',
    type: 'line',
    silent: true,
    symbol: 'none',
    lineStyle: { width: 0 },
    data: marks.map(({ time }): Pair => [time, null]),
    markArea: {
      silent: true,
      itemStyle: { color: look.openBand, borderColor: look.open, borderType: 'dashed', borderWidth: 1 },
      data: open.map(({ from, until }) => [{ xAxis: from }, { xAxis: until }]),
    },
    markLine: {
      silent: true,
      symbol: 'none',
      lineStyle: { color: look.threshold, type: 'dashed', width: 1 },
      label: { color: look.threshold, position: 'insideEndTop', formatter: ({ name }: { name: string }) => name },
      data: thresholds.map(({ value, label }) => ({ yAxis: value, name: label })),
    },
  };
}

/** The lines of a series, each under an id of its own that lasts from one refresh to the next. */
function drawn(series: ChartSeries, look: Look, single: boolean) {
  const colour = look.colours.get(series.id) ?? look.text;
  const { solid, dashed, open, alone } = linesOf(series.points);
  const few = series.points.length < DOTTED;
  const dotted = (pairs: Pair[]) => pairs.map((value) => ({ value, symbol: value[1] !== null && (few || alone.has(value[0])) ? 'circle' : 'none' }));
  const common = { type: 'line', name: series.name, connectNulls: false, symbolSize: 6, showSymbol: true, showAllSymbol: true, itemStyle: { color: colour } };
  return [
    { ...common, id: `solid:${series.id}`, data: dotted(solid), lineStyle: { width: 2, color: colour }, areaStyle: single ? { color: colour, opacity: 0.1 } : undefined },
    ...(hasFigures(dashed) ? [{ ...common, id: `dashed:${series.id}`, data: dotted(dashed), lineStyle: { width: 1.5, color: colour, type: 'dashed' } }] : []),
    ...(hasFigures(open)
      ? [{ ...common, id: `open:${series.id}`, data: open, symbol: 'circle', symbolSize: 8, lineStyle: { width: 0 }, itemStyle: { color: look.background, borderColor: look.open, borderWidth: 2 } }]
      : []),
  ];
}
