/** Windows whose figures say nothing of what was logged, as stretches of time. Stands beside completeness: everybody told, and there was nothing to tell of. */

import type { BlindWindow } from '@/api/types';

export interface BlindStretch {
  from: number;
  until: number;
  reason: BlindWindow['reason'];
}

/** What was read is known by the minute, however short the windows. */
const SHORTEST_MS = 60_000;

/** Neighbouring windows of the same reason as one, by time, as far as they are between the bounds. */
export function blindStretches(blind: readonly BlindWindow[], bounds: { from: number; until: number; stepMs: number }): BlindStretch[] {
  const length = Math.max(bounds.stepMs, SHORTEST_MS);
  const found: BlindStretch[] = [];
  for (const { time, reason } of blind) {
    const from = Math.max(Date.parse(time), bounds.from);
    const until = Math.min(Date.parse(time) + length, bounds.until);
    const last = found.at(-1);
    if (from >= until) continue;
    if (last && last.until === from && last.reason === reason) last.until = until;
    else found.push({ from, until, reason });
  }
  return found;
}

/** The one that a window is in that starts then. */
export const blindAt = (blind: readonly BlindStretch[], time: number): BlindStretch | undefined => blind.find(({ from, until }) => from <= time && time < until);
