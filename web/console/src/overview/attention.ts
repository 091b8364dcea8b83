/** Monitors that somebody should look at: their figures wait for an agent, or say nothing of what is logged. */

import type { MonitorSpec, Overview, Reading, Resource } from '@/api/types';
import { conditionOf, needsALook, type Condition } from '@/monitors/condition';

export interface Attention {
  monitor: string;
  title: string;
  /** Nothing where it reads its log well. */
  condition: Condition | undefined;
  reading: Reading | undefined;
  completeThrough: string | null | undefined;
  /** Agents that are waited for. */
  missing: string[];
}

export function attention(incomplete: Overview['incomplete'], monitors: readonly Resource<MonitorSpec>[], readings: ReadonlyMap<string, Reading>, now: number): Attention[] {
  const behind = new Map(incomplete.map((one) => [one.monitor, one]));
  return monitors
    .flatMap((monitor): Attention[] => {
      const { name, displayName } = monitor.metadata;
      const reading = readings.get(name);
      const condition = conditionOf(monitor, reading?.state, now);
      const waits = behind.get(name);
      if (!waits && !needsALook(condition)) return [];
      return [{ monitor: name, title: displayName || name, condition: needsALook(condition) ? condition : undefined, reading, completeThrough: waits?.completeThrough, missing: waits?.missing ?? [] }];
    })
    .sort((a, b) => Number(b.condition !== undefined) - Number(a.condition !== undefined) || a.title.localeCompare(b.title));
}
