import { expect, test } from 'vitest';
import en from '@/i18n/en-US.json';
import zh from '@/i18n/zh-CN.json';
import { TIME_FORMATS, typedFormat } from './timeFormats';

test('every format is explained in both languages', () => {
  for (const texts of [en, zh]) {
    const known = Object.keys(texts.timeFormat).filter((name) => name !== 'strftime');
    expect(known.sort()).toEqual(TIME_FORMATS.map(([name]) => name).sort());
  }
});

test('what is typed with a % is a pattern', () => {
  expect(typedFormat('%d/%b/%Y %T')).toBe('strftime:%d/%b/%Y %T');
  expect(typedFormat(' strftime:%s ')).toBe('strftime:%s');
  expect(typedFormat('ngi')).toBeUndefined();
});
