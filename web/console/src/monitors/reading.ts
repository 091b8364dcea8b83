/** Whether a monitor reads its log and understands it, from what agents report of it. */

import type { AgentView } from '@/api/types';

export type Reading =
  /** No agent has reported of it. */
  | 'no_agent'
  /** Its paths match no file on any host. */
  | 'no_file'
  /** Lines come, and none counts: their time or a column cannot be read. */
  | 'not_understood'
  /** Lines count, and no figure can be taken of any. */
  | 'not_numbers'
  | 'ok';

type Report = AgentView['monitors'][number];

/** Reasons for which a line is not counted; each is given at most once a line. */
const UNCOUNTED = ['time_unreadable', 'time_in_future', 'time_too_old', 'column_missing'] as const;

export function readingOf(reports: readonly Report[]): Reading {
  const sum = (of: (report: Report) => number) => reports.reduce((total, report) => total + of(report), 0);
  const lines = sum(({ lines }) => lines);
  if (reports.length === 0) return 'no_agent';
  if (sum(({ files }) => files) === 0) return 'no_file';
  if (lines === 0) return 'ok';
  if (sum(({ faults }) => UNCOUNTED.reduce((total, reason) => total + (faults[reason] ?? 0), 0)) >= lines) return 'not_understood';
  if (sum(({ faults }) => faults['not_a_number'] ?? 0) >= lines) return 'not_numbers';
  return 'ok';
}

/** How each monitor is read, by name; one that is not there has no agent. */
export function readings(agents: readonly AgentView[]): Map<string, Reading> {
  const reports = new Map<string, Report[]>();
  for (const { monitors } of agents) for (const report of monitors) reports.set(report.monitor, [...(reports.get(report.monitor) ?? []), report]);
  return new Map([...reports].map(([monitor, of]) => [monitor, readingOf(of)]));
}
