import { expect, test } from 'vitest';
import type { Pick } from '@/api/types';
import { allNumbers, distinctValues, locate, pickWords, suggestName } from './picks';

function check(line: string, pick: Pick, value: string, expected: string | undefined) {
  const span = locate(line, pick, value);
  const marked = span && `${line.slice(0, span.from)}[${line.slice(span.from, span.to)}]${line.slice(span.to)}`;
  expect(marked).toBe(expected);
}

test('the place of a yield is the pick’s, not the first that looks like it', () => {
  check('a,b,a,c', { split: { by: ',', index: 2 } }, 'a', 'a,b,[a],c');
  check('x=1;x=1;', { between: { left: 'x=', right: ';', nth: 2 } }, '1', 'x=1;x=[1];');
  check('GET /a', { between: { left: '', right: ' ' } }, 'GET', '[GET] /a');
  check('a, b', { split: { by: ',', index: 1 } }, 'b', 'a, [b]');
});

test('where the place cannot be told, the value itself is looked for', () => {
  check('{"a":{"b":"x"}}', { json: { pointer: '/a/b' } }, 'x', '{"a":{"b":"[x]"}}');
  check('a,b', { split: { by: ';', index: 3 } }, 'zzz', undefined);
  check('a,b', { split: { by: ',', index: 3 } }, '', undefined);
});

test('names are taken from the pick where it has one', () => {
  expect(suggestName({ between: { left: 'cost=', right: ',' } }, [])).toBe('cost');
  expect(suggestName({ json: { pointer: '/req/status' } }, ['status'])).toBe('status_2');
  expect(suggestName({ split: { by: ',', index: 1 } }, ['column_1'])).toBe('column_2');
});

test('numbers', () => {
  expect(allNumbers(['1', '-2.5', '.5', '1e3', null])).toBe(true);
  expect(allNumbers(['1', '1ms'])).toBe(false);
  expect(allNumbers([null])).toBe(false);
});

test('values are offered by frequency', () => {
  expect(distinctValues(['b', 'a', 'b', null, undefined, 'c'])).toEqual(['b', 'a', 'c']);
});

test('separators that cannot be seen are shown', () => {
  expect(pickWords({ split: { by: '\t', index: 0 } })).toEqual({ key: 'pick.splitWords', values: { by: '⇥', n: 1 } });
});
