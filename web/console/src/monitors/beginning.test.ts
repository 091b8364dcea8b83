import { expect, test } from 'vitest';
import { firstFiguresAt } from './beginning';

const seconds = (updatedAt: string | undefined, createdAt?: string) => {
  const due = firstFiguresAt({ updatedAt, createdAt });
  return due === undefined ? undefined : (due - Date.parse('2026-01-31T12:00:00Z')) / 1000;
};

test('figures come when the first whole minute is over and told of', () => {
  expect(seconds('2026-01-31T12:00:00Z')).toBe(125);
  expect(seconds('2026-01-31T12:00:30Z')).toBe(125);
  // Agents have it only in the next minute.
  expect(seconds('2026-01-31T12:00:58Z')).toBe(185);
});

test('by the second they come sooner', () => {
  const due = firstFiguresAt({ updatedAt: '2026-01-31T12:00:30.400Z' }, 1000) ?? 0;
  expect((due - Date.parse('2026-01-31T12:00:30Z')) / 1000).toBe(10);
});

test('what was never stored has no time', () => {
  expect(seconds(undefined)).toBeUndefined();
  expect(seconds(undefined, '2026-01-31T12:00:30Z')).toBe(125);
});
