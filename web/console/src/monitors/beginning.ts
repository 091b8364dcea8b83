/** When the first figures of a monitor are to be expected. */

import type { Metadata } from '@/api/types';

/** What it takes, at the most in good health, until agents have what was written, and until a window's figures are stored. */
const HANDED_OUT_MS = 3000;
const STORED_MS = 5000;

/**
 * The end of the first whole window, a minute or a second, since the monitor was written as it is, when
 * agents have told of it. Unknown for what was never stored.
 */
export function firstFiguresAt({ updatedAt, createdAt }: Pick<Metadata, 'updatedAt' | 'createdAt'>, widthMs = 60_000): number | undefined {
  const since = Date.parse(updatedAt ?? createdAt ?? '');
  if (Number.isNaN(since)) return undefined;
  return (Math.floor((since + HANDED_OUT_MS) / widthMs) + 2) * widthMs + STORED_MS;
}
