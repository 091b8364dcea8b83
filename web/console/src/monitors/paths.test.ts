import { expect, test } from 'vitest';
import { isMonitored } from './paths';

const glob = (pattern: string, file: string) => isMonitored(file, [{ glob: pattern }]);

test('a path names itself', () => {
  expect(isMonitored('/a/b.log', [{ path: '/a/b.log' }])).toBe(true);
  expect(isMonitored('/a/*.log', [{ path: '/a/b.log' }])).toBe(false);
  expect(isMonitored('/a/b.log', [])).toBe(false);
});

test('a glob names what it matches, folder by folder', () => {
  expect(glob('/a/*.log', '/a/b.log')).toBe(true);
  expect(glob('/a/*.log', '/a/b/c.log')).toBe(false);
  expect(glob('/a/**/*.log', '/a/b/c.log')).toBe(true);
  expect(glob('/a/**/*.log', '/a/c.log')).toBe(true);
  expect(glob('/a/app-[0-9].log', '/a/app-3.log')).toBe(true);
  expect(glob('/a/app-[!0-9].log', '/a/app-3.log')).toBe(false);
  expect(glob('/a/app-?.log', '/a/app-33.log')).toBe(false);
  expect(glob('/a/b+c.log', '/a/bbc.log')).toBe(false);
  expect(glob('/a/[z-a].log', '/a/b.log')).toBe(false);
});
