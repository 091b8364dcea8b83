/** Windows made ready for charts and tables: one derivation, so that both say the same. */

import type { Series, StatFn, Windows } from '@/api/types';
import { isWhole, marksOfRuns, shownAs, type WindowMark } from '@/chart/completeness';
import type { Axis, ChartPoint, ChartSeries } from '@/chart/model';
import { figure, keysText, percent } from '@/parts/format';

const STEPS: readonly [seconds: number, text: string][] = [[1, '1s'], [5, '5s'], [15, '15s'], [60, '1m'], [300, '5m'], [900, '15m'], [3600, '1h'], [21_600, '6h'], [86_400, '1d']];

/** The length of a window, and how the server is asked for it. */
export interface Step {
  ms: number;
  text: string;
}

/** The most points a line of the chart has. */
const MAX_POINTS = 400;

/** The shortest step, of windows as long as they are stored or longer, at which the range has no more points than a chart can show. */
export function stepFor(rangeMs: number, widthMs = 60_000): Step {
  const [seconds, text] = STEPS.find(([length]) => length * 1000 >= widthMs && rangeMs / (length * 1000) <= MAX_POINTS) ?? [86_400, '1d'];
  return { ms: seconds * 1000, text };
}

/** Figures are rolled up into these, each kept longer than the one before. */
const ROLLED_UP: readonly Step[] = [{ ms: 60_000, text: '1m' }, { ms: 3_600_000, text: '1h' }, { ms: 86_400_000, text: '1d' }];

/** The next longer step that may be kept where this one is not; nothing where there is none. */
export const longerStep = (stepMs: number): Step | undefined => ROLLED_UP.find(({ ms }) => ms > stepMs);

/** What a statistic is. */
export interface Statistic {
  name: string;
  fn: StatFn | undefined;
}

export interface FigureRow {
  id: string;
  time: number;
  keys: Record<string, string>;
  values: Record<string, number | null>;
  mark: WindowMark | undefined;
}

const seriesId = (keys: Record<string, string>): string => (Object.keys(keys).length === 0 ? '' : JSON.stringify(Object.entries(keys).sort(([a], [b]) => a.localeCompare(b))));

/** The value alone where one column is kept apart, else `goods=a, host=b`. */
export const keysName = (keys: Record<string, string>): string => {
  const [only, ...others] = Object.values(keys);
  return only !== undefined && others.length === 0 ? only : keysText(keys);
};

const marksOfSeries = (series: Series, whole: readonly WindowMark[]): readonly WindowMark[] => (series.completeness ? marksOfRuns(series.completeness, whole) : whole);

/** Whether it is a number of lines. */
const counts = (fn: StatFn | undefined): boolean => fn === 'lines' || fn === 'success' || fn === 'failure';

/** How a statistic's figures are written. */
export function writer({ fn }: Statistic, language: string): (value: number | null | undefined) => string {
  return (value) => (fn === 'success_rate' && value !== null && value !== undefined ? percent(value, language) : figure(value, language));
}

/**
 * A chart's series of one statistic. A window without a figure, unlike one with 0, is a gap: the server
 * answers the zeros of windows that are complete, and of others nothing is known.
 */
export function chartSeries(windows: Windows, stat: Statistic, whole: readonly WindowMark[]): ChartSeries[] {
  return windows.series.map((series) => {
    const figures = new Map(series.points.map(({ time, values }) => [Date.parse(time), values[stat.name] ?? null]));
    const points = marksOfSeries(series, whole).map((mark): ChartPoint => {
      const value = figures.get(mark.time) ?? null;
      figures.delete(mark.time);
      return { time: mark.time, value, mark };
    });
    for (const [time, value] of figures) points.push({ time, value, mark: undefined });
    return { id: seriesId(series.keys), name: keysName(series.keys) || stat.name, points: points.sort((a, b) => a.time - b.time) };
  });
}

const TONES: Partial<Record<StatFn, ChartSeries['tone']>> = { success: 'good', failure: 'bad' };

/** Several statistics of what is not grouped, as the series of one chart; the first is its main one. */
export const statSeries = (windows: Windows, stats: readonly Statistic[], whole: readonly WindowMark[]): ChartSeries[] =>
  stats.flatMap((stat, index) => chartSeries(windows, stat, whole).slice(0, 1).map((series) => ({ ...series, id: index === 0 ? '' : stat.name, name: stat.name, tone: stat.fn && TONES[stat.fn] })));

/** The axis that suits a statistic. */
export function axisOf({ fn }: Statistic): Axis {
  if (fn === 'success_rate') return { max: 100, fit: true };
  return { whole: counts(fn) };
}

/** Every window that has figures, zeros too, the newest first. */
export function figureRows(windows: Windows, whole: readonly WindowMark[]): FigureRow[] {
  const rows = windows.series.flatMap((series, index) => {
    const marks = new Map(marksOfSeries(series, whole).map((mark) => [mark.time, mark]));
    return series.points.map((point): FigureRow => {
      const time = Date.parse(point.time);
      return { id: `${time}/${index}`, time, keys: series.keys, values: point.values, mark: marks.get(time) };
    });
  });
  return rows.sort((a, b) => b.time - a.time);
}

export interface Latest extends FigureRow {
  mark: WindowMark;
  /** A newer window that is over, where something is missing. */
  behind: WindowMark | undefined;
}

/** Whether anything was ever told of these windows. */
export const hasBegun = (whole: readonly WindowMark[]): boolean => whole.some((mark) => isWhole(mark) || isShort(mark));

const isShort = (mark: WindowMark): boolean => ['missing', 'lost'].includes(shownAs(mark));

/** The newest window that is whole, else the newest that is over, of what is not grouped; nothing where none is. */
export function latestFigure(windows: Windows, whole: readonly WindowMark[]): Latest | undefined {
  const over = whole.findLast((mark) => isWhole(mark) || isShort(mark));
  const mark = whole.findLast(isWhole) ?? over;
  if (!mark) return undefined;
  const values = windows.series[0]?.points.find(({ time }) => Date.parse(time) === mark.time)?.values ?? {};
  return { id: '', time: mark.time, keys: {}, values, mark, behind: over && over.time > mark.time ? over : undefined };
}

/** Of each key its newest window that is whole, those with the highest figure first. */
export function latestByKey(windows: Windows, stat: string, whole: readonly WindowMark[]): FigureRow[] {
  return windows.series
    .flatMap((series): FigureRow[] => {
      const mark = marksOfSeries(series, whole).findLast(isWhole);
      const point = mark && series.points.find(({ time }) => Date.parse(time) === mark.time);
      return point ? [{ id: seriesId(series.keys), time: mark.time, keys: series.keys, values: point.values, mark }] : [];
    })
    .sort((a, b) => (b.values[stat] ?? 0) - (a.values[stat] ?? 0));
}
