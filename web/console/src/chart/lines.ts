/** How a series is drawn: what is certain solid, what is not dashed, what is not over yet apart. */

import { isWhole, shownAs } from './completeness';
import type { ChartPoint } from './model';

export type Pair = [time: number, value: number | null];

export interface Lines {
  /** Whole windows. */
  solid: Pair[];
  /** Windows in which something is missing, with the whole ones beside them, so that the dashes join on. */
  dashed: Pair[];
  /**
   * Windows that are still filling. They stand alone: joined to the last whole one, a count would fall
   * off at the right edge each minute.
   */
  open: Pair[];
  /** Times of points that no line reaches. */
  alone: Set<number>;
}

type Part = 'solid' | 'dashed' | 'open';

function partOf({ mark }: ChartPoint): Part {
  if (!mark || isWhole(mark)) return 'solid';
  const shown = shownAs(mark);
  return shown === 'open' || shown === 'uncollected' ? 'open' : 'dashed';
}

export function linesOf(points: readonly ChartPoint[]): Lines {
  const lines: Lines = { solid: [], dashed: [], open: [], alone: new Set() };
  const drawn = (at: number): Part | undefined => {
    const point = points[at];
    return point && point.value !== null ? partOf(point) : undefined;
  };
  points.forEach((point, at) => {
    const { time, value } = point;
    const [before, own, after] = [drawn(at - 1), drawn(at), drawn(at + 1)];
    lines.solid.push([time, own === 'solid' ? value : null]);
    const joins = own === 'solid' && (before === 'dashed' || after === 'dashed');
    lines.dashed.push([time, own === 'dashed' || joins ? value : null]);
    lines.open.push([time, own === 'open' ? value : null]);
    const joined = (part: Part | undefined) => part === 'solid' || part === 'dashed';
    if (joined(own) && !joined(before) && !joined(after)) lines.alone.add(time);
  });
  return lines;
}

/** Whether a part has anything to draw. */
export const hasFigures = (pairs: readonly Pair[]): boolean => pairs.some(([, value]) => value !== null);
