/** A document's versions, and what lies between them. */

import type { Resource } from '@/api/types';
import { authored } from './yaml';

/** What a version is compared with: the one before it, or the one in force. */
export type Against = 'before' | 'current';

export interface Comparison {
  before: Resource | null;
  after: Resource;
}

/** The two sides of a version of `versions`, which come newest first; nothing where there is no such version. */
export function compare(versions: readonly Resource[], version: number, against: Against): Comparison | undefined {
  const at = versions.findIndex(({ metadata }) => metadata.version === version);
  const [chosen, current, earlier] = [versions[at], versions[0], versions[at + 1]];
  if (!chosen || !current) return undefined;
  // From what is to what would be: what restoring it would change.
  if (against === 'current') return { before: authored(current), after: authored(chosen) };
  if (earlier) return { before: authored(earlier), after: authored(chosen) };
  // Nothing came before the first. What came before the oldest of those kept is not known: it is shown as it is.
  return { before: version === 1 ? null : authored(chosen), after: authored(chosen) };
}
