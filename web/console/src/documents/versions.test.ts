import { expect, test } from 'vitest';
import type { Resource } from '@/api/types';
import { diffValues } from '@/parts/diff';
import { compare, type Against } from './versions';

const at = (version: number, threshold: number): Resource => ({
  kind: 'AlertRule',
  metadata: { name: 'slow', version, updatedAt: `2026-01-0${version}T00:00:00Z`, updatedBy: 'user:ann' },
  spec: { threshold },
});

function check(versions: Resource[], version: number, against: Against, expected: string[]) {
  const sides = compare(versions, version, against);
  const changed = sides && diffValues(sides.before, sides.after).filter(({ kind }) => kind !== 'same');
  expect(changed?.map(({ kind, text }) => `${kind} ${text.trim()}`)).toEqual(expected);
}

const VERSIONS = [at(4, 90), at(3, 100), at(2, 80)];

test('a version is compared with the one before it', () => {
  check(VERSIONS, 4, 'before', ['removed threshold: 100', 'added threshold: 90']);
  check(VERSIONS, 3, 'before', ['removed threshold: 80', 'added threshold: 100']);
});

test('or with the one in force: what restoring it would change', () => {
  check(VERSIONS, 2, 'current', ['removed threshold: 90', 'added threshold: 80']);
  check(VERSIONS, 4, 'current', []);
});

test('the first is all new, the oldest of those kept is not', () => {
  check(VERSIONS, 2, 'before', []);
  check([at(1, 5)], 1, 'before', ['added kind: AlertRule', 'added metadata:', 'added name: slow', 'added spec:', 'added threshold: 5']);
});

test('a version that is not there is not compared', () => {
  expect(compare(VERSIONS, 9, 'before')).toBeUndefined();
  expect(compare([], 1, 'current')).toBeUndefined();
});
