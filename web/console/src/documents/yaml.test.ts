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

test('a key twice is refused, with both lines', () => {
  const merged = 'spec:\n  exclude: [a]\n  include: []\n  "exclude": []\n';
  expect(fromYaml(merged).twice).toEqual({ key: 'exclude', first: 2, second: 4 });
  expect(fromYaml('a: { x: 1, y: [ { z: 1, z: 2 } ] }').twice).toMatchObject({ key: 'z' });
  expect(fromYaml('kind: A\nspec: { a: { x: 1 }, b: { x: 2 } }\n').twice).toBeUndefined();
});

test('merges and a byte order mark are read as the server reads them', () => {
  const text = '\u{feff}kind: A\nspec:\n  base: &base { a: 1, b: 2 }\n  one: { <<: *base, b: 3 }\n';
  expect(fromYaml(text).document?.spec).toEqual({ base: { a: 1, b: 2 }, one: { a: 1, b: 3 } });
});

test('what tools of YAML 1.1 take for something else is quoted', () => {
  const words = ['no', 'on', 'y', 'Off', '1_000', '12:30:45', '2026-11-20', '0o17', '017', '1e3', '.inf', '~', 'null', '=', '<<', ' a ', 'a\nb'];
  const document = { kind: 'X', metadata: { name: 'x' }, spec: { words } };
  const text = toYaml(document);
  expect(fromYaml(text).document).toEqual(document);
  for (const word of words.slice(0, 14)) expect(text).toMatch(new RegExp(`- ["']${word.replace('.', '\\.')}["']`));
});
