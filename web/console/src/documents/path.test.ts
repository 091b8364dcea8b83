import { expect, test } from 'vitest';
import { getIn, parsePath, problemsAt, setIn, withoutProblemsAt } from './path';

test('paths are read as the server writes them', () => {
  expect(parsePath('spec.columns[2].pick.split.index')).toEqual(['spec', 'columns', 2, 'pick', 'split', 'index']);
  expect(parsePath('spec.where.$host.any')).toEqual(['spec', 'where', '$host', 'any']);
  expect(parsePath('')).toEqual([]);
});

test('a place is read and changed without touching the original', () => {
  const document = { spec: { columns: [{ name: 'a' }, { name: 'b' }] } };
  const changed = setIn(document, 'spec.columns[1].name', 'c');
  expect(getIn(changed, 'spec.columns[1].name')).toBe('c');
  expect(document.spec.columns[1]?.name).toBe('b');
  expect(changed.spec.columns[0]).toBe(document.spec.columns[0]);
});

test('missing places are made', () => {
  expect(setIn({ spec: {} }, 'spec.at.mobiles[0]', '138')).toEqual({ spec: { at: { mobiles: ['138'] } } });
});

test('taking a value out takes the emptied objects with it, but not the section', () => {
  expect(setIn({ spec: { dingtalk: { mobile: '1' } } }, 'spec.dingtalk.mobile', undefined)).toEqual({ spec: {} });
  expect(setIn({ spec: { at: { all: true, mobiles: [] } } }, 'spec.at.mobiles', undefined)).toEqual({ spec: { at: { all: true } } });
});

test('problems belong to the field at or above their path', () => {
  const problems = [
    { path: 'spec.at.mobiles[0]', message: 'x' },
    { path: 'spec.atlas', message: 'y' },
  ];
  expect(problemsAt(problems, 'spec.at')).toEqual([problems[0]]);
  expect(withoutProblemsAt(problems, 'spec.at.mobiles')).toEqual([problems[1]]);
});
