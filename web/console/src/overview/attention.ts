/** Monitors that somebody should look at: their figures wait for an agent, or say nothing of what is logged. */

import type { AgentView, MonitorSpec, Overview, Resource } from '@/api/types';
import { readings } from '@/monitors/reading';
import { conditionOf, needsALook, type Condition } from '@/monitors/ReadingTag';

export interface Attention {
  monitor: string;
  title: string;
  /** Nothing where it reads its log well. */
  condition: Condition | undefined;
  completeThrough: string | null | undefined;
  /** Agents that are waited for. */
  missing: string[];
}

export function attention(incomplete: Overview['incomplete'], monitors: readonly Resource<MonitorSpec>[], agents: readonly AgentView[], now: number): Attention[] {
  const found = readings(agents);
  const behind = new Map(incomplete.map((one) => [one.monitor, one]));
  return monitors
    .flatMap((monitor): Attention[] => {
      const { name, displayName } = monitor.metadata;
      const condition = conditionOf(monitor, found.get(name), now);
      const waits = behind.get(name);
      if (!waits && !needsALook(condition)) return [];
      return [{ monitor: name, title: displayName || name, condition: needsALook(condition) ? condition : undefined, completeThrough: waits?.completeThrough, missing: waits?.missing ?? [] }];
    })
    .sort((a, b) => Number(b.condition !== undefined) - Number(a.condition !== undefined) || a.title.localeCompare(b.title));
}
