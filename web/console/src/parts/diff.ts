/** What changed between two documents, line by line of their YAML. */

import { stringify } from 'yaml';

export interface DiffLine {
  kind: 'same' | 'removed' | 'added';
  text: string;
}

/** A line, or what was left out between two. */
export type ShownLine = DiffLine | { kind: 'gap'; text: string };

/** Past this many lines on a side a diff is not worth its time; all is shown as replaced. */
const MOST_LINES = 2000;

export function diffLines(before: readonly string[], after: readonly string[]): DiffLine[] {
  const removed = (text: string): DiffLine => ({ kind: 'removed', text });
  const added = (text: string): DiffLine => ({ kind: 'added', text });
  if (before.length > MOST_LINES || after.length > MOST_LINES) return [...before.map(removed), ...after.map(added)];

  // Longest common subsequence, from the end.
  const width = after.length + 1;
  const lengths = new Uint16Array((before.length + 1) * width);
  const at = (i: number, j: number) => lengths[i * width + j] ?? 0;
  for (let i = before.length - 1; i >= 0; i -= 1) {
    for (let j = after.length - 1; j >= 0; j -= 1) {
      lengths[i * width + j] = before[i] === after[j] ? at(i + 1, j + 1) + 1 : Math.max(at(i + 1, j), at(i, j + 1));
    }
  }
  const lines: DiffLine[] = [];
  let i = 0;
  let j = 0;
  while (i < before.length || j < after.length) {
    const old = before[i];
    const fresh = after[j];
    if (old !== undefined && old === fresh) {
      lines.push({ kind: 'same', text: old });
      i += 1;
      j += 1;
    } else if (old !== undefined && (fresh === undefined || at(i + 1, j) >= at(i, j + 1))) {
      lines.push(removed(old));
      i += 1;
    } else if (fresh !== undefined) {
      lines.push(added(fresh));
      j += 1;
    }
  }
  return lines;
}

function yamlLines(value: unknown): string[] {
  return value === null || value === undefined ? [] : stringify(value, { lineWidth: 0 }).trimEnd().split('\n');
}

export const diffValues = (before: unknown, after: unknown): DiffLine[] => diffLines(yamlLines(before), yamlLines(after));

/** The changes with `context` lines around each; all lines where nothing changed. */
export function around(lines: readonly DiffLine[], context: number): ShownLine[] {
  const near = new Uint8Array(lines.length);
  lines.forEach(({ kind }, index) => {
    if (kind !== 'same') near.fill(1, Math.max(0, index - context), index + context + 1);
  });
  if (!near.includes(1)) return [...lines];
  return lines.flatMap((line, index): ShownLine[] => {
    if (near[index] === 1) return [line];
    // One mark for a stretch that is left out.
    return index === 0 || near[index - 1] === 1 ? [{ kind: 'gap', text: '⋯' }] : [];
  });
}
