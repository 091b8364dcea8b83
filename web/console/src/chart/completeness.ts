/** How far windows can be trusted. Chart, tooltip, strip, table and list all take it from here. */

import type { Completeness, CompletenessRun, CompletenessState, IncompleteReason } from '@/api/types';

export interface WindowMark {
  time: number;
  state: CompletenessState;
  /** Why it is `never` complete. */
  reason: IncompleteReason | undefined;
  /** Agents that are waited for, or will never tell. */
  missing: readonly string[];
  /** How many they are; of many not all are named. */
  missingCount: number;
}

/** What a window shows as. */
export type Shown = 'complete' | 'revised' | 'missing' | 'lost' | 'open' | 'uncollected';

/**
 * Only what somebody fails to tell is worth a warning: a window that is not over, or in which nobody was
 * expected, is not.
 */
export function shownAs(mark: WindowMark): Shown {
  switch (mark.state) {
    case 'complete':
    case 'revised':
      return mark.state;
    case 'in_progress':
      return 'open';
    case 'partial':
      return 'missing';
    case 'never':
      return mark.reason === 'nobody_expected' ? 'uncollected' : 'lost';
  }
}

/** Whether the figure of the window is whole. */
export const isWhole = (mark: WindowMark): boolean => mark.state === 'complete' || mark.state === 'revised';

const markOf = (time: number, { state, reason, missing = [], missingCount = 0 }: Completeness): WindowMark => ({ time, state, reason: reason ?? undefined, missing, missingCount: Math.max(missingCount, missing.length) });

/** So long agents may take to hear of a monitor; a window that begins meanwhile is not theirs to tell of. */
const HEARD_MS = 60_000;

/**
 * Where the windows begin with such that nobody was to collect, the first that an agent was expected for and began
 * only in is one of them: its configuration was on the way. Later it is lost, as any other.
 */
function fromTheBeginning(marks: readonly WindowMark[]): WindowMark[] {
  const shown = [...marks];
  let since: number | undefined;
  for (const [index, mark] of marks.entries()) {
    if (mark.state !== 'never') break;
    if (mark.reason === 'nobody_expected' && since === undefined) continue;
    if (mark.reason !== 'not_collected' || index === 0) break;
    since ??= mark.time;
    if (mark.time - since >= HEARD_MS) break;
    shown[index] = { ...mark, reason: 'nobody_expected', missing: [], missingCount: 0 };
  }
  return shown;
}

/** The marks of windows, by time. */
export const marksOf = (completeness: readonly Completeness[]): WindowMark[] => fromTheBeginning(completeness.map((one) => markOf(Date.parse(one.time), one)).sort((a, b) => a.time - b.time));

/** Marks given as runs of windows, each up to its `until`: one for each window of `whole` that they cover, else that of the whole. */
export function marksOfRuns(runs: readonly CompletenessRun[], whole: readonly WindowMark[]): WindowMark[] {
  const spans = runs.map((run) => ({ from: Date.parse(run.time), until: Date.parse(run.until), run }));
  let at = 0;
  const marks = whole.map((mark) => {
    while (at < spans.length && (spans[at]?.until ?? 0) <= mark.time) at += 1;
    const span = spans[at];
    if (!span || span.from > mark.time) return mark;
    return markOf(mark.time, span.run);
  });
  return fromTheBeginning(marks);
}

export interface Stretch {
  from: number;
  until: number;
  mark: WindowMark;
}

/** Neighbouring windows of the same completeness as one. */
export function stretches(marks: readonly WindowMark[], stepMs: number): Stretch[] {
  const found: Stretch[] = [];
  for (const mark of marks) {
    const last = found.at(-1);
    if (last && last.until === mark.time && alike(last.mark, mark)) last.until = mark.time + stepMs;
    else found.push({ from: mark.time, until: mark.time + stepMs, mark });
  }
  return found;
}

const alike = (a: WindowMark, b: WindowMark) => a.state === b.state && a.reason === b.reason && a.missingCount === b.missingCount && a.missing.join() === b.missing.join();
