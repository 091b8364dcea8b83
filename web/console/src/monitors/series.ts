/** Windows made ready for a chart: steps, gaps, completeness. */

import type { Completeness, CompletenessState, IncompleteReason, Series, StatFn } from '@/api/types';

const STEPS: readonly [seconds: number, text: string][] = [[60, '1m'], [300, '5m'], [900, '15m'], [3600, '1h'], [21_600, '6h'], [86_400, '1d']];

/** The most points a line of the chart has. */
const MAX_POINTS = 400;

/** The shortest step at which the range has no more points than a chart can show. */
export function stepFor(rangeMs: number): { ms: number; text: string } {
  const [seconds, text] = STEPS.find(([length]) => rangeMs / (length * 1000) <= MAX_POINTS) ?? [86_400, '1d'];
  return { ms: seconds * 1000, text };
}

export interface Marks {
  time: number;
  state: CompletenessState;
  missing: string[];
  /** How many are missing; of many not all are named. */
  missingCount: number;
  /** Why it will never be complete. */
  reason?: IncompleteReason | null;
}

const GRAVITY: Record<CompletenessState, number> = { complete: 0, revised: 1, in_progress: 2, partial: 3, never: 4 };

/** The states in the order of legends. */
export const STATES: readonly CompletenessState[] = ['complete', 'revised', 'in_progress', 'partial', 'never'];

/** Whether all that belongs to a window is there. */
export const isComplete = (state: CompletenessState) => state === 'complete' || state === 'revised';

/** Completeness by step: the gravest of the windows in it, and all agents missing in any. */
export function marksByStep(completeness: readonly Completeness[], stepMs: number): Marks[] {
  const marks = new Map<number, Marks>();
  for (const { time, state, reason, missing = [], missingCount = 0 } of completeness) {
    const start = Math.floor(Date.parse(time) / stepMs) * stepMs;
    const mark = marks.get(start);
    if (!mark) marks.set(start, { time: start, state, missing: [...missing], missingCount, ...(reason ? { reason } : {}) });
    else {
      if (GRAVITY[state] > GRAVITY[mark.state]) Object.assign(mark, { state, reason });
      for (const agent of missing) if (!mark.missing.includes(agent)) mark.missing.push(agent);
      mark.missingCount = Math.max(mark.missingCount, missingCount, mark.missing.length);
    }
  }
  return [...marks.values()].sort((a, b) => a.time - b.time);
}

/**
 * A line of the chart. A window without lines has no point: counts are then 0 once the window is known
 * to be complete, and everything else is a gap, never a made-up figure.
 */
export function chartLine(series: Series, stat: string, fn: StatFn | undefined, marks: readonly Marks[]): [number, number | null][] {
  const values = new Map(series.points.map(({ time, values: figures }) => [Date.parse(time), figures[stat] ?? null]));
  const line: [number, number | null][] = marks.map(({ time, state }) => {
    const value = values.get(time);
    values.delete(time);
    if (value !== undefined) return [time, value];
    return [time, fn === 'lines' && isComplete(state) ? 0 : null];
  });
  for (const [time, value] of values) line.push([time, value]);
  return line.sort(([a], [b]) => a - b);
}

/**
 * The marks from the first minute that was collected. In those before it nobody was waited for and no
 * line was counted: nothing is missing, and nothing is to be alarmed about.
 */
export function collected(marks: readonly Marks[], series: readonly Series[]): Marks[] {
  const counted = new Set(series.flatMap(({ points }) => points.map(({ time }) => Date.parse(time))));
  const first = marks.findIndex(({ time, reason }) => reason !== 'nobody_expected' || counted.has(time));
  return first < 0 ? [] : marks.slice(first);
}

export interface Stretch {
  from: number;
  to: number;
  state: CompletenessState;
  reason?: IncompleteReason | null;
  missing: string[];
  /** How many are missing; of many not all are named. */
  missingCount: number;
}

/** Neighbouring marks of the same state as one stretch. */
export function stretches(marks: readonly Marks[], stepMs: number): Stretch[] {
  const found: Stretch[] = [];
  for (const { time, state, reason, missing, missingCount } of marks) {
    const last = found.at(-1);
    if (last && last.to === time && last.state === state && last.reason === reason && last.missing.join() === missing.join() && last.missingCount === missingCount) last.to = time + stepMs;
    else found.push({ from: time, to: time + stepMs, state, missing, missingCount, ...(reason ? { reason } : {}) });
  }
  return found;
}

/** The newest window of the first series that is complete, else the newest there is. */
export function latestFigure(series: Series | undefined, marks: readonly Marks[]): { time: number; values: Record<string, number | null>; mark: Marks | undefined } | undefined {
  const byTime = new Map((series?.points ?? []).map((point) => [Date.parse(point.time), point.values]));
  const mark = marks.findLast(({ state }) => isComplete(state)) ?? marks.at(-1);
  if (mark) return { time: mark.time, values: byTime.get(mark.time) ?? {}, mark };
  const point = series?.points.at(-1);
  return point && { time: Date.parse(point.time), values: point.values, mark: undefined };
}
