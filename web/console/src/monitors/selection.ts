/**
 * Selecting a word in a sample line. The page counts in UTF-16 units, as browsers do; the server counts
 * in characters (Unicode scalar values). Everything here is in UTF-16 units but {@link toCharacters}.
 */

export interface Span {
  from: number;
  to: number;
}

const WORD = /[\p{L}\p{N}_.\-/$%+@*#]+/gu;

/** The words of a line: what one click selects. */
export function words(line: string): Span[] {
  return Array.from(line.matchAll(WORD), (match) => ({ from: match.index, to: match.index + match[0].length }));
}

export interface Token extends Span {
  word: boolean;
}

/** The line cut into words and what is between them, without gaps. */
export function tokens(line: string): Token[] {
  const found: Token[] = [];
  let at = 0;
  for (const { from, to } of words(line)) {
    if (from > at) found.push({ from: at, to: from, word: false });
    found.push({ from, to, word: true });
    at = to;
  }
  if (at < line.length) found.push({ from: at, to: line.length, word: false });
  return found;
}

/** The word that holds an offset. */
export function wordAt(line: string, offset: number): Span | undefined {
  return words(line).find(({ from, to }) => from <= offset && offset < to);
}

/** Without the white space at its ends; nothing when nothing else is in it. */
export function trimmed(line: string, { from, to }: Span): Span | undefined {
  const text = line.slice(from, to);
  const start = from + (text.length - text.trimStart().length);
  const end = to - (text.length - text.trimEnd().length);
  return start < end ? { from: start, to: end } : undefined;
}

/** The next or previous word, from the one selected; the first or last without one. */
export function stepWord(line: string, current: Span | undefined, direction: 1 | -1): Span | undefined {
  const all = words(line);
  if (!current) return direction === 1 ? all[0] : all.at(-1);
  return direction === 1 ? (all.find(({ from }) => from >= current.to) ?? current) : (all.findLast(({ to }) => to <= current.from) ?? current);
}

/** The selection with its end moved by a word; it never becomes empty. */
export function extendWord(line: string, current: Span, direction: 1 | -1): Span {
  const all = words(line);
  const to =
    direction === 1 ? (all.find((word) => word.to > current.to)?.to ?? line.length) : all.findLast((word) => word.to < current.to && word.to > current.from)?.to;
  return { from: current.from, to: to ?? current.to };
}

/** The span in characters, as the server counts. */
export function toCharacters(line: string, { from, to }: Span): Span {
  const count = (end: number) => Array.from(line.slice(0, end)).length;
  return { from: count(from), to: count(to) };
}
