/**
 * Colours of series. A key keeps its colour while others come and go and after the page is loaded again;
 * people see the same one for the same key, but where two keys would have fallen on the same colour.
 */

import { useMemo } from 'react';
import type { ChartSeries } from './model';

/** Told apart also by those who see no red or no green; amber is left to warnings. */
const LIGHT = ['#2f54eb', '#0f8b8d', '#c2417c', '#7a6a00', '#7a3fc9', '#2e8b3d', '#2f8fbf', '#a0522d', '#882255', '#5f6b7a'] as const;
const DARK = ['#7f9bff', '#3fc1b8', '#f07fae', '#cfc04a', '#b794f6', '#6fcf7c', '#7cc8ee', '#d99a73', '#d778a8', '#a9b4c2'] as const;

/** Beyond the palette the same colours come again, half as strong. */
export const SLOTS = LIGHT.length * 2;

export function colourOf(slot: number, dark: boolean): string {
  const palette = dark ? DARK : LIGHT;
  const colour = palette[slot % palette.length] ?? palette[0];
  return slot % SLOTS < palette.length ? colour : `${colour}99`;
}

/** FNV-1a, 32 bits: the same on every page. */
export function hash(text: string): number {
  let value = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(text)) value = Math.imul(value ^ byte, 0x01000193) >>> 0;
  return value;
}

/**
 * A slot for each id: the one it has already, else the one its hash names, else the next that is free among
 * those shown. What is not grouped, the empty id, has the first.
 */
export function assign(ids: readonly string[], known: ReadonlyMap<string, number>): Map<string, number> {
  const found = new Map<string, number>();
  const taken = new Set<number>();
  const give = (id: string, slot: number) => {
    found.set(id, slot);
    taken.add(slot);
  };
  for (const id of ids) {
    const slot = id === '' ? 0 : known.get(id);
    if (slot !== undefined) give(id, slot);
  }
  for (const id of [...ids].sort()) {
    if (found.has(id)) continue;
    const own = hash(id) % LIGHT.length;
    const free = Array.from({ length: SLOTS }, (_, step) => (own + step) % SLOTS).find((slot) => !taken.has(slot));
    give(id, free ?? own);
  }
  return found;
}

const STORED = 'nightjar.colours';
/** Charts, and keys of each, whose colours are remembered; the longest unseen are forgotten first. */
const MOST_CHARTS = 50;
const MOST_KEYS = 200;

type Memory = [chart: string, slots: [id: string, slot: number][]][];

function remembered(): Memory {
  try {
    const memory: unknown = JSON.parse(localStorage.getItem(STORED) ?? '[]');
    return Array.isArray(memory) ? (memory as Memory) : [];
  } catch {
    return [];
  }
}

export function recall(chart: string): Map<string, number> {
  const slots = remembered().find(([name]) => name === chart)?.[1];
  return new Map(Array.isArray(slots) ? slots.filter(([, slot]) => Number.isInteger(slot) && slot >= 0 && slot < SLOTS) : []);
}

function remember(chart: string, slots: ReadonlyMap<string, number>) {
  const kept = [...slots].slice(-MOST_KEYS);
  const others = remembered().filter(([name]) => name !== chart);
  try {
    localStorage.setItem(STORED, JSON.stringify([...others.slice(1 - MOST_CHARTS), [chart, kept]]));
  } catch {
    // Without a store colours last as long as the page.
  }
}

/** Slots of the ids of a chart, kept under its name. */
export function slotsOf(chart: string, ids: readonly string[]): Map<string, number> {
  const known = recall(chart);
  const slots = assign(ids, known);
  if (ids.some((id) => id !== '' && !known.has(id))) remember(chart, new Map([...[...known].filter(([id]) => !slots.has(id)), ...slots]));
  return slots;
}

const TONES = { good: ['#389e0d', '#6abf4b'], bad: ['#cf1322', '#ff6b66'] } as const;

/** The colour of each series of a chart, by its id. */
export function useColours(chart: string, series: readonly ChartSeries[], dark: boolean): Map<string, string> {
  const wanted = JSON.stringify(series.map(({ id, tone = '' }) => [id, tone]));
  return useMemo(() => {
    const all = JSON.parse(wanted) as [id: string, tone: keyof typeof TONES | ''][];
    const slots = slotsOf(chart, all.filter(([, tone]) => tone === '').map(([id]) => id));
    return new Map(all.map(([id, tone]) => [id, tone === '' ? colourOf(slots.get(id) ?? 0, dark) : TONES[tone][dark ? 1 : 0]]));
  }, [chart, wanted, dark]);
}
