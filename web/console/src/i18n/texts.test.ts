/** Both languages say everything the console asks for, and nothing else. */

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { preferredLanguage } from '.';
import english from './en-US.json';
import chinese from './zh-CN.json';

type Texts = Record<string, Record<string, string>>;
const ENGLISH: Texts = english;
const CHINESE: Texts = chinese;

const keysOf = (texts: Texts) => Object.entries(texts).flatMap(([section, inner]) => Object.keys(inner).map((key) => `${section}.${key}`));
const placeholders = (text: string) => [...text.matchAll(/\{\{(\w+)\}\}/g)].map(([, name]) => name).sort();

function sources(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return sources(path);
    return /\.tsx?$/.test(entry.name) && !entry.name.includes('.test.') && entry.name !== 'openapi.ts' ? [readFileSync(path, 'utf8')] : [];
  });
}

const code = sources(join(import.meta.dirname, '..')).join('\n');
/** Keys written out: `'section.key'`, where the section is one of the texts. */
const named = new Set([...code.matchAll(/['"`]([a-z]\w*)\.([\w-]+)['"`]/gi)].filter(([, section = '']) => section in ENGLISH).map(([, section = '', key = '']) => `${section}.${key}`));
/** Sections with keys made at run time: `section.${…}`; and `match`, whose name comes through a function. */
const composed = new Set([...code.matchAll(/`([a-z]\w*)\.(\w*)\$\{/gi)].map(([, section = '']) => section).concat('match'));

test('both languages have the same keys', () => {
  expect(keysOf(CHINESE).sort()).toEqual(keysOf(ENGLISH).sort());
});

test('no text is empty, and placeholders agree', () => {
  for (const key of keysOf(ENGLISH)) {
    const [section = '', name = ''] = key.split(/\.(.*)/s);
    const [zh = '', en = ''] = [CHINESE[section]?.[name], ENGLISH[section]?.[name]];
    expect(zh.trim() && en.trim(), key).not.toBe('');
    expect(placeholders(zh), key).toEqual(placeholders(en));
  }
});

test('every key the code asks for is there', () => {
  expect(named.size).toBeGreaterThan(300);
  expect([...named].filter((key) => !keysOf(ENGLISH).includes(key))).toEqual([]);
  expect([...composed].filter((section) => !(section in ENGLISH) && section !== 'spec')).toEqual([]);
});

test('every text is used', () => {
  expect(keysOf(ENGLISH).filter((key) => !named.has(key) && !composed.has(key.split('.')[0] ?? ''))).toEqual([]);
});

test('the language is the one chosen, else the browser’s', () => {
  expect(preferredLanguage('en-US', ['zh-CN'])).toBe('en-US');
  expect(preferredLanguage(null, ['zh-TW', 'en'])).toBe('zh-CN');
  expect(preferredLanguage('xx', ['fr'])).toBe('en-US');
});
