// @vitest-environment jsdom
import { expect, test } from 'vitest';
import { assign, colourOf, hash, SLOTS, slotsOf } from './colours';

const keys = (count: number, from = 0) => Array.from({ length: count }, (_, n) => `key-${from + n}`);

test('a key keeps its colour while others come and go, in whatever order', () => {
  const first = assign(keys(8), new Map());
  const next = assign([...keys(4, 20), ...keys(8).reverse()], first);
  for (const [id, slot] of first) expect(next.get(id)).toBe(slot);
});

test('no two of those shown have the same colour while there are enough', () => {
  expect(new Set(assign(keys(SLOTS), new Map()).values()).size).toBe(SLOTS);
  expect(assign(keys(SLOTS + 5), new Map()).size).toBe(SLOTS + 5);
  const colours = Array.from({ length: SLOTS }, (_, slot) => [colourOf(slot, false), colourOf(slot, true)]);
  expect(new Set(colours.flat()).size).toBe(2 * SLOTS);
});

test('who opens a chart first sees the same as another: the hash is a fixed one', () => {
  expect(hash('a')).toBe(0xe40c292c);
  expect(assign(['x'], new Map())).toEqual(assign(['x'], new Map([['y', 3]])));
});

test('what is not grouped has the first colour', () => {
  expect(assign([''], new Map([['', 7]])).get('')).toBe(0);
});

test('colours outlast the page, chart by chart', () => {
  const before = slotsOf('default/trade/goods', keys(12));
  expect(slotsOf('default/trade/goods', keys(12).reverse())).toEqual(new Map([...before].reverse()));
  // One that was away for a while comes back as it was.
  const alone = slotsOf('default/trade/goods', ['key-3']);
  expect(alone.get('key-3')).toBe(before.get('key-3'));
  expect(slotsOf('default/trade/goods', keys(12)).get('key-5')).toBe(before.get('key-5'));
});

test('a store that is full of something else, or unreadable, is no obstacle', () => {
  localStorage.setItem('nightjar.colours', '{"not": "ours"');
  expect(slotsOf('a', ['x']).size).toBe(1);
  localStorage.setItem('nightjar.colours', JSON.stringify([['a', [['x', 4000]]]]));
  expect(slotsOf('a', ['x']).get('x')).toBeLessThan(SLOTS);
});

test('what is remembered is bounded', () => {
  for (let n = 0; n < 70; n += 1) slotsOf(`chart-${n}`, ['x']);
  for (let n = 0; n < 30; n += 1) slotsOf('busy', keys(20, n * 20));
  const memory = JSON.parse(localStorage.getItem('nightjar.colours') ?? '[]') as [string, unknown[]][];
  expect(memory).toHaveLength(50);
  expect(memory.at(-1)?.[1].length).toBeLessThanOrEqual(200);
});
