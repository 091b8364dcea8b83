/** What a chart over time shows, whatever it is of. Times are milliseconds, each the start of a window. */

import type { BlindStretch } from './blind';
import type { WindowMark } from './completeness';

export interface ChartPoint {
  time: number;
  /** None where there is no figure: such as the average of nothing, or a window nobody has told of. */
  value: number | null;
  /** How far the window can be trusted; unknown for some that only have a figure. */
  mark: WindowMark | undefined;
}

export interface ChartSeries {
  /** The same whenever the same thing is shown: colour and selection go by it. Empty for what is not grouped. */
  id: string;
  name: string;
  /** Its colour where it means something; else one by its id. */
  tone?: 'good' | 'bad';
  /** By time. */
  points: ChartPoint[];
}

export interface Axis {
  /** Figures are never above this. */
  max?: number;
  /** From the lowest figure instead of from 0: for what moves little, far from it. */
  fit?: boolean;
  /** Figures are whole numbers, and so are the axis' marks. */
  whole?: boolean;
}

/** A line across the chart. */
export interface Threshold {
  value: number;
  label: string;
}

export interface ChartModel {
  series: readonly ChartSeries[];
  /** Of the whole chart, one for each window that has begun. */
  marks: readonly WindowMark[];
  /** When figures say nothing of what was logged. */
  blind?: readonly BlindStretch[];
  /** The time axis; `until` is not on it. */
  from: number;
  until: number;
  stepMs: number;
  thresholds?: readonly Threshold[];
  axis?: Axis;
  /** How a figure is written, with its unit; short on the axis. */
  write: (value: number | null) => string;
}
