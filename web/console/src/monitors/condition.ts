/** How a monitor fares: what the server says that it reads, unless it is too early to tell. */

import type { MonitorSpec, ReadingState, Resource } from '@/api/types';
import { firstFiguresAt } from './beginning';

export type Condition = ReadingState | 'starting';

/** Nothing where the server has not said yet. */
export function conditionOf({ metadata, spec }: Resource<MonitorSpec>, state: ReadingState | undefined, now: number): Condition | undefined {
  // What was switched a moment ago is known here before the server is asked again.
  if (spec.enabled === false) return 'off';
  const due = firstFiguresAt(metadata);
  // What is told is of ten minutes: of a monitor that has just changed most of it is of what it was.
  return due !== undefined && due > now && state !== 'reading' ? 'starting' : state;
}

/** Whether it has no figures of what is logged, so that nothing counted is no zero. */
export const isBlind = (condition: Condition | undefined): boolean => condition === 'no_file' || condition === 'not_understood';

/** Whether somebody should look at it. */
export const needsALook = (condition: Condition | undefined): boolean => isBlind(condition) || condition === 'no_agent' || condition === 'hardly_understood' || condition === 'not_numbers';
