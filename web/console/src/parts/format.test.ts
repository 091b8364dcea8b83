import { expect, test } from 'vitest';
import { absoluteTime, bytes, duration, figure, keysText, percent, relativeTime, shortTime, withTimes } from './format';

const NOON = Date.UTC(2026, 0, 31, 12, 0, 0);

test('relative times take the largest unit that fits', () => {
  expect(relativeTime(NOON - 90_000, NOON, 'en-US')).toBe('1 minute ago');
  expect(relativeTime(NOON + 2 * 3_600_000, NOON, 'en-US')).toBe('in 2 hours');
  expect(relativeTime(NOON - 400, NOON, 'en-US')).toBe('now');
  expect(relativeTime(NOON - 3 * 86_400_000, NOON, 'zh-CN')).toBe('3天前');
});

test('absolute times are in the zone asked for', () => {
  expect(absoluteTime(NOON, 'zh-CN', 'Asia/Shanghai')).toBe('2026/01/31 20:00:00');
});

test('times in a sentence read like all others', () => {
  expect(withTimes('HTTP 500; again at 2026-01-31T12:00:00.250Z', 'zh-CN', 'Asia/Shanghai')).toBe('HTTP 500; again at 2026/01/31 20:00:00');
  expect(withTimes('the minute to 2026-01-31T12:00:00Z is partial', 'en-US', 'UTC')).toBe('the minute to 01/31/2026, 12:00:00 is partial');
  expect(withTimes('nothing on 2026-01-31', 'en-US')).toBe('nothing on 2026-01-31');
});

test('short times name the day unless it is today', () => {
  expect(shortTime(NOON, NOON, 'en-US', { timeZone: 'UTC' })).toBe('12:00');
  expect(shortTime(NOON + 7000, NOON, 'en-US', { timeZone: 'UTC', seconds: true })).toBe('12:00:07');
  expect(shortTime(NOON - 86_400_000, NOON, 'en-US', { timeZone: 'UTC' })).toBe('01/30, 12:00');
});

test('figures keep what matters', () => {
  expect(figure(1234567.891, 'en-US')).toBe('1,234,567.9');
  expect(figure(0.12345, 'en-US')).toBe('0.123');
  expect(figure(null, 'en-US')).toBe('–');
  expect(figure(0, 'en-US')).toBe('0');
});

test('sizes and durations', () => {
  expect(bytes(0)).toBe('0 B');
  expect(bytes(1536)).toBe('1.5 KB');
  expect(bytes(25 * 1024 * 1024)).toBe('25 MB');
  expect(duration(350)).toBe('350 ms');
  expect(duration(-4200)).toBe('-4.2 s');
  expect(duration(600_000)).toBe('10 min');
});

test('keys', () => {
  expect(keysText({ goods: 'a', $host: 'b' })).toBe('goods=a, $host=b');
  expect(keysText({})).toBe('');
});

test('a share that is not all is not shown as all', () => {
  expect(percent(100, 'en-US')).toBe('100%');
  expect(percent(99.9999, 'en-US')).toBe('99.99%');
  expect(percent(0.0001, 'en-US')).toBe('0.01%');
  expect(percent(97.619, 'en-US')).toBe('97.62%');
});
