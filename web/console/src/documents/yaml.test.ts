import { expect, test } from 'vitest';
import { fromYaml, lineOf, toYaml } from './yaml';

const document = {
  kind: 'Monitor',
  metadata: { name: 'trade', folder: 'a/b', version: 3, uid: 'u', createdAt: '2026-01-01T00:00:00Z' },
  spec: { type: 'minute', columns: [{ name: 'goods', pick: { split: { by: ',', index: 2 } } }], stats: [{ name: 'n', fn: 'lines' }] },
};

test('what the server sets is not shown, the rest comes back the same', () => {
  const text = toYaml(document);
  expect(text).not.toContain('version');
  expect(fromYaml(text).document).toEqual({ ...document, metadata: { name: 'trade', folder: 'a/b' } });
});

test('strings that look like something else survive', () => {
  const tricky = { kind: 'X', metadata: { name: 'x' }, spec: { a: 'yes', b: '1.0', c: ' x ', d: "it's: #1", e: '***', f: '*' } };
  expect(fromYaml(toYaml(tricky)).document).toEqual(tricky);
});

test('text that is not a document is an error, never a crash', () => {
  expect(fromYaml('a: [').error).toBeTruthy();
  expect(fromYaml('- a').error).toBeTruthy();
  expect(fromYaml('').error).toBeTruthy();
});

test('unknown fields are kept for the server to name', () => {
  expect(fromYaml('kind: A\nspce: {}\n').document).toMatchObject({ kind: 'A', spce: {} });
});

test('a problem is found on its line', () => {
  const text = 'kind: Monitor\nmetadata:\n  name: x\nspec:\n  columns:\n    - name: a\n      pick:\n        split: { by: ",", index: 9 }\n';
  expect(lineOf(text, 'spec.columns[0].pick.split.index')).toBe(8);
  expect(lineOf(text, 'spec.columns[0].name')).toBe(6);
  expect(lineOf(text, 'spec.columns[0]')).toBe(6);
  expect(lineOf(text, 'spec.stats')).toBe(4);
  expect(lineOf(text, 'nothing.here')).toBeUndefined();
});
