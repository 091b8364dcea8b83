/** Picks as people read them, and where in a line what they yield stands. */

import type { Pick } from '@/api/types';
import type { Span } from './selection';

export type PickType = 'split' | 'between' | 'regex' | 'json';
export const PICK_TYPES: readonly PickType[] = ['split', 'between', 'regex', 'json'];

export function pickType(pick: Pick): PickType {
  return PICK_TYPES.find((type) => type in pick) ?? 'split';
}

export const BLANK_PICKS: Record<PickType, Pick> = {
  split: { split: { by: ',', index: 0 } },
  between: { between: { left: '', right: '', nth: 1 } },
  regex: { regex: { pattern: '', group: 1 } },
  json: { json: { pointer: '/' } },
};

/** A separator or text as it can be seen: a tab as `⇥`, a space as `␣`. */
export const visible = (text: string) => text.replaceAll('\t', '⇥').replaceAll(' ', '␣');

/** What a pick is called with which values, for a text of the language files. */
export function pickWords(pick: Pick): { key: string; values: Record<string, string | number> } {
  if ('split' in pick) return { key: 'pick.splitWords', values: { by: visible(pick.split.by), n: pick.split.index + 1 } };
  if ('between' in pick) {
    const { left = '', right = '', nth = 1 } = pick.between;
    const key = left === '' ? 'pick.untilWords' : right === '' ? 'pick.afterWords' : nth > 1 ? 'pick.betweenNthWords' : 'pick.betweenWords';
    return { key, values: { left: visible(left), right: visible(right), nth } };
  }
  if ('regex' in pick) return { key: 'pick.regexWords', values: { pattern: pick.regex.pattern, group: pick.regex.group ?? 1 } };
  return { key: 'pick.jsonWords', values: { pointer: pick.json.pointer } };
}

/** Where `value`, which the pick yields on this line, stands in it; only to be marked on the screen. */
export function locate(line: string, pick: Pick, value: string): Span | undefined {
  const from = placeOf(line, pick);
  if (from !== undefined) {
    // The agent takes white space off the ends of some picks.
    const lead = line.slice(from).length - line.slice(from).trimStart().length;
    for (const start of [from, from + lead]) {
      if (line.startsWith(value, start)) return { from: start, to: start + value.length };
    }
  }
  const found = value === '' ? -1 : line.indexOf(value);
  return found < 0 ? undefined : { from: found, to: found + value.length };
}

function placeOf(line: string, pick: Pick): number | undefined {
  if ('split' in pick && pick.split.by !== '') {
    let at = 0;
    for (let n = 0; n < pick.split.index; n += 1) {
      const next = line.indexOf(pick.split.by, at);
      if (next < 0) return undefined;
      at = next + pick.split.by.length;
    }
    return at;
  }
  if ('between' in pick) {
    const { left = '', nth = 1 } = pick.between;
    if (left === '') return 0;
    let at = -1;
    for (let n = 0; n < nth; n += 1) {
      at = line.indexOf(left, at + (n === 0 ? 1 : left.length));
      if (at < 0) return undefined;
    }
    return at + left.length;
  }
  return undefined;
}

/** A name for a new column: what the pick says of it, else the next free `column_1`, `column_2`… */
export function suggestName(pick: Pick, taken: readonly string[]): string {
  const said =
    'json' in pick ? pick.json.pointer.split('/').at(-1) : 'between' in pick ? /([A-Za-z_]\w*)\W*$/.exec(pick.between.left ?? '')?.[1] : undefined;
  const base = said && isColumnName(said) ? said : undefined;
  if (base && !taken.includes(base)) return base;
  for (let n = 1; ; n += 1) {
    const name = base ? `${base}_${n + 1}` : `column_${n}`;
    if (!taken.includes(name)) return name;
  }
}

export const isColumnName = (name: string) => /^[A-Za-z_][A-Za-z0-9_]{0,62}$/.test(name);

/** Whether all that was yielded reads as a number, and something was. */
export function allNumbers(yields: readonly (string | null)[]): boolean {
  const values = yields.filter((value) => value !== null);
  return values.length > 0 && values.every((value) => /^\s*[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?\s*$/i.test(value));
}

/** Distinct values, the most frequent first. */
export function distinctValues(yields: readonly (string | null | undefined)[]): string[] {
  const counts = new Map<string, number>();
  for (const value of yields) if (value !== null && value !== undefined) counts.set(value, (counts.get(value) ?? 0) + 1);
  return [...counts.entries()].sort(([a, m], [b, n]) => n - m || a.localeCompare(b)).map(([value]) => value);
}

