/** Places in a document, written as the server writes them: `spec.columns[2].pick.split.index`. */

import type { Problem } from '@/api/types';

export type Step = string | number;

export function parsePath(path: string): Step[] {
  const steps: Step[] = [];
  for (const match of path.matchAll(/\[(\d+)\]|[^.[\]]+/g)) {
    steps.push(match[1] === undefined ? match[0] : Number(match[1]));
  }
  return steps;
}

export function getIn(value: unknown, path: string): unknown {
  let at = value;
  for (const step of parsePath(path)) {
    if (at === null || typeof at !== 'object') return undefined;
    at = (at as Record<Step, unknown>)[step];
  }
  return at;
}

/**
 * A copy of the document with one place changed. `undefined` takes the place out, with the objects
 * that become empty by it, but leaves the document's own sections standing.
 */
export function setIn<T>(document: T, path: string, value: unknown): T {
  return write(document, parsePath(path), value, 0) as T;
}

function write(at: unknown, steps: Step[], value: unknown, depth: number): unknown {
  const step = steps[depth];
  if (step === undefined) return value;
  const copy: Record<Step, unknown> | unknown[] = Array.isArray(at)
    ? [...(at as unknown[])]
    : at !== null && typeof at === 'object'
      ? { ...at }
      : typeof step === 'number'
        ? []
        : {};
  const inner = (copy as Record<Step, unknown>)[step];
  const next = write(inner, steps, value, depth + 1);
  if (next === undefined && !Array.isArray(copy)) {
    // eslint-disable-next-line @typescript-eslint/no-dynamic-delete -- a place that is taken out must not be sent
    delete copy[step];
    return depth > 1 && Object.keys(copy).length === 0 ? undefined : copy;
  }
  (copy as Record<Step, unknown>)[step] = next;
  return copy;
}

function isWithin(inner: string, outer: string): boolean {
  return inner === outer || inner.startsWith(`${outer}.`) || inner.startsWith(`${outer}[`);
}

/** The problems at a place or within it. */
export function problemsAt(problems: readonly Problem[], path: string): Problem[] {
  return problems.filter((problem) => isWithin(problem.path, path));
}

/** The problems left once a place, and what is in it, has been changed. */
export function withoutProblemsAt(problems: readonly Problem[], path: string): Problem[] {
  return problems.filter((problem) => !isWithin(problem.path, path) && !(problem.path !== '' && isWithin(path, problem.path)));
}
