import { expect, test } from 'vitest';
import { around, diffLines, diffValues } from './diff';

function check(before: string, after: string, expected: string) {
  const signs = { same: ' ', removed: '-', added: '+' };
  expect(diffLines(Array.from(before), Array.from(after)).map(({ kind, text }) => signs[kind] + text).join('')).toBe(expected);
}

test('what stays, goes and comes', () => {
  check('abc', 'abc', ' a b c');
  check('abc', 'axc', ' a-b+x c');
  check('', 'ab', '+a+b');
  check('ab', '', '-a-b');
  check('abcd', 'bd', '-a b-c d');
});

test('both sides can be read out of a diff', () => {
  const [before, after] = ['kitten sat'.split(''), 'sitting sits'.split('')];
  const lines = diffLines(before, after);
  expect(lines.filter(({ kind }) => kind !== 'added').map(({ text }) => text)).toEqual(before);
  expect(lines.filter(({ kind }) => kind !== 'removed').map(({ text }) => text)).toEqual(after);
});

test('a creation has no before', () => {
  expect(diffValues(null, { a: 1 })).toEqual([{ kind: 'added', text: 'a: 1' }]);
});

test('what is far from any change is left out', () => {
  const shown = (before: string, after: string, context: number) =>
    around(diffLines(Array.from(before), Array.from(after)), context).map(({ text }) => text).join('');
  expect(shown('abcdefgh', 'abcdXfgh', 1)).toBe('⋯deXf⋯');
  expect(shown('Abcdefgh', 'abcdefgH', 1)).toBe('Aab⋯ghH');
  expect(shown('abc', 'aXc', 3)).toBe('abXc');
  expect(shown('abc', 'abc', 1)).toBe('abc');
});
