import { expect, test } from 'vitest';
import { extendWord, stepWord, toCharacters, tokens, trimmed, wordAt, words } from './selection';

const LINE = '2026-01-31 12:00:00,trade,create,交易😀,12.5,Y';
const text = (line: string, span: { from: number; to: number } | undefined) => span && line.slice(span.from, span.to);

test('a click selects a word, whatever its script', () => {
  expect(text(LINE, wordAt(LINE, LINE.indexOf('create') + 2))).toBe('create');
  expect(text(LINE, wordAt(LINE, LINE.indexOf('交') + 1))).toBe('交易');
  expect(text(LINE, wordAt(LINE, LINE.indexOf('12.5') + 1))).toBe('12.5');
  expect(wordAt('a  b', 2)).toBeUndefined();
});

test('tokens cover the line without gaps', () => {
  for (const line of [LINE, '', ',,', 'abc', ' x=1 ']) {
    expect(tokens(line).map((token) => text(line, token)).join('')).toBe(line);
  }
});

test('the server counts characters where the browser counts UTF-16 units', () => {
  const from = LINE.indexOf('12.5');
  expect(toCharacters(LINE, { from, to: from + 4 })).toEqual({ from: from - 1, to: from + 3 });
  expect(toCharacters('交易,a', { from: 3, to: 4 })).toEqual({ from: 3, to: 4 });
});

test('white space at the ends is not part of a selection', () => {
  expect(trimmed('a  bc  d', { from: 1, to: 7 })).toEqual({ from: 3, to: 5 });
  expect(trimmed('a   b', { from: 1, to: 4 })).toBeUndefined();
});

test('the keyboard goes from word to word and stops at the ends', () => {
  const line = 'a,bb c';
  const first = stepWord(line, undefined, 1);
  expect(text(line, first)).toBe('a');
  const second = stepWord(line, first, 1);
  expect(text(line, second)).toBe('bb');
  expect(text(line, stepWord(line, second, -1))).toBe('a');
  expect(text(line, stepWord(line, stepWord(line, undefined, -1), 1))).toBe('c');
  expect(words('')).toEqual([]);
  expect(stepWord('', undefined, 1)).toBeUndefined();
});

test('a selection grows and shrinks by words, never to nothing', () => {
  const line = 'a,bb c';
  const grown = extendWord(line, { from: 0, to: 1 }, 1);
  expect(text(line, grown)).toBe('a,bb');
  expect(text(line, extendWord(line, grown, -1))).toBe('a');
  expect(text(line, extendWord(line, { from: 0, to: 1 }, -1))).toBe('a');
});
