import { expect, test } from 'vitest';
import { folderTree, inFolder } from './folders';

test('the tree counts what is under each folder', () => {
  const tree = folderTree(['empty', 'trade'], ['trade/core', 'trade/core', 'trade', '']);
  expect(tree.map(({ key, count }) => [key, count])).toEqual([['empty', 0], ['trade', 3]]);
  expect(tree[1]?.children).toEqual([{ key: 'trade/core', title: 'core', count: 2, children: [] }]);
});

test('a folder’s name that begins another’s is not its parent', () => {
  expect(inFolder('trade-2/x', 'trade')).toBe(false);
  expect(inFolder('trade/x', 'trade')).toBe(true);
  expect(inFolder('anything', '')).toBe(true);
});
