/** A Top's windows made ready for chart and table. */

import type { Series, TopItem, TopWindow, Windows } from '@/api/types';
import { isWhole, marksOf } from '@/chart/completeness';
import { figure } from '@/parts/format';

/** Lines of a chart that can still be told apart. */
const LINES = 10;

export const itemId = (item: TopItem): string => JSON.stringify(Object.entries(item.keys));

/** The newest window that is whole, else the newest. */
export function latestTop(windows: Windows): TopWindow | undefined {
  const whole = new Set(marksOf(windows.completeness).filter(isWhole).map(({ time }) => time));
  const all = windows.top?.windows ?? [];
  return all.findLast(({ time }) => whole.has(Date.parse(time))) ?? all.at(-1);
}

/** The greatest keys of one window as series over all of them; a window in which a key is not among the greatest is a gap. */
export function topSeries(windows: Windows, of: TopWindow): Windows {
  const shown = new Map(of.items.slice(0, LINES).map((item): [string, Series] => [itemId(item), { keys: item.keys, points: [] }]));
  for (const { time, items } of windows.top?.windows ?? []) {
    for (const item of items) shown.get(itemId(item))?.points.push({ time, values: item.values });
  }
  return { ...windows, by: windows.top?.groupBy ?? [], series: [...shown.values()] };
}

/** `1,234`, or the range that the figure is in for sure: `1,222 – 1,234`. */
export function withError(item: TopItem, stat: string, language: string): string {
  const value = item.values[stat];
  const error = item.errors?.[stat] ?? 0;
  if (value === null || value === undefined || error === 0) return figure(value, language);
  return `${figure(value - error, language)} – ${figure(value, language)}`;
}

/** The items that are among the greatest for sure: at least so much as a key may have that is not kept. */
export const isCertain = (window: TopWindow, item: TopItem, by: string): boolean => {
  if (window.exact) return true;
  const value = item.values[by];
  return value !== null && value !== undefined && value - (item.errors?.[by] ?? 0) >= window.absentAtMost;
};
