/** What a rule holds figures against, as lines for a chart of them. */

import type { AlertRuleSpec, Resource } from '@/api/types';
import type { Threshold } from '@/chart/model';

const same = (a: readonly string[], b: readonly string[]) => [...a].sort().join() === [...b].sort().join();

/**
 * The thresholds of rules that judge the statistic as it is charted: its value now, of the same keys. What
 * is summed over minutes, or over other keys, is no height on this chart.
 */
export function thresholdsOf(rules: readonly Resource<AlertRuleSpec>[], monitor: string, stat: string, by: readonly string[]): Threshold[] {
  return rules
    .filter(({ spec }) => spec.monitor === monitor && spec.enabled !== false && same(Object.keys(spec.where ?? {}), by))
    .flatMap(({ metadata, spec }) =>
      spec.conditions
        .filter(({ field, take }) => field === stat && (take === undefined || 'now' in take))
        .map(({ op, threshold }) => ({ value: threshold, label: `${spec.level ?? 'P2'} ${metadata.displayName || metadata.name} ${op} ${threshold}` })),
    );
}
