// @vitest-environment jsdom
import { act, fireEvent, screen, within } from '@testing-library/react';
import { useEffect, useState } from 'react';
import { beforeEach, expect, test, vi } from 'vitest';
import { shortTime } from '@/parts/format';
import { show } from '@/testing/render';
import type { WindowMark } from './completeness';
import type { ChartModel } from './model';
import { TimeChart } from './TimeChart';

const { drawn } = vi.hoisted((): { drawn: { option?: unknown } } => ({ drawn: {} }));
// The canvas is not jsdom's; what is drawn from an option is the subject of option.test.ts.
vi.mock('@/parts/Chart', () => ({
  Chart: ({ option }: { option: unknown }) => {
    drawn.option = option;
    return <div data-testid="chart" />;
  },
}));

interface Drawn {
  series: { id: string; itemStyle?: { color: string } }[];
  tooltip: { formatter: (items: { value: [number, number | null] }[]) => string };
}
const option = () => drawn.option as Drawn;
const shownIds = () => option().series.filter(({ id }) => id.startsWith('solid:')).map(({ id }) => id.slice(6));
const colourOf = (id: string) => option().series.find((one) => one.id === `solid:${id}`)?.itemStyle?.color;

const MINUTE = 60_000;
const START = Date.UTC(2026, 0, 31, 12);
const HOSTS = new Map([['a1', 'trade-1']]);

function model(ids: string[], states: WindowMark['state'][] = ['complete', 'complete', 'partial', 'in_progress']): ChartModel {
  const marks = states.map((state, n): WindowMark => ({ time: START + n * MINUTE, state, reason: state === 'never' ? 'left' : undefined, missing: state === 'partial' || state === 'never' ? ['a1'] : [], missingCount: state === 'partial' ? 3 : state === 'never' ? 1 : 0 }));
  return { series: ids.map((id, n) => ({ id, name: id || 'count', points: marks.map((mark) => ({ time: mark.time, value: 10 + n, mark })) })), marks, from: START, until: START + states.length * MINUTE, stepMs: MINUTE, write: String };
}

const chart = (of: ChartModel) => <TimeChart name="default/m/goods" model={of} label="count" hosts={HOSTS} />;

beforeEach(() => {
  delete drawn.option;
});

test('what was hidden stays hidden, and colours stay, when figures are refreshed', () => {
  // A page that is given new figures, as each 15 s.
  const refreshed: { with?: (next: ChartModel) => void } = {};
  const Page = () => {
    const [figures, setFigures] = useState(model(['apple', 'pear', 'plum']));
    useEffect(() => {
      refreshed.with = (next) => act(() => setFigures(next));
    }, []);
    return chart(figures);
  };
  show(<Page />);
  const before = colourOf('pear');
  fireEvent.click(screen.getByTestId('legend:apple'));
  expect(shownIds()).toEqual(['pear', 'plum']);
  refreshed.with?.(model(['plum', 'fig', 'pear', 'apple']));
  expect(shownIds()).toEqual(['plum', 'fig', 'pear']);
  expect(colourOf('pear')).toBe(before);
  expect(screen.getByTestId('legend:apple').getAttribute('aria-pressed')).toBe('false');
});

test('one can be seen alone, and all again', () => {
  show(chart(model(['apple', 'pear', 'plum'])));
  fireEvent.doubleClick(screen.getByTestId('legend:pear'));
  expect(shownIds()).toEqual(['pear']);
  fireEvent.doubleClick(screen.getByTestId('legend:pear'));
  expect(shownIds()).toHaveLength(3);
  fireEvent.click(screen.getByTestId('legend:pear'));
  fireEvent.click(screen.getByTestId('legend-all'));
  expect(shownIds()).toHaveLength(3);
});

test('a single series needs no legend', () => {
  show(chart(model([''])));
  expect(screen.queryByTestId('legend')).toBeNull();
});

test.each([
  ['en-US' as const, ['Complete 2', 'Partial 1', 'In progress 1'], 'Partial · Missing: trade-1, +2', 'In progress'],
  ['zh-CN' as const, ['完整 2', '缺数据 1', '进行中 1'], '缺数据 · 缺少：trade-1, +2', '进行中'],
])('tooltip and strip say the same of each minute (%s)', (language, counts, missing, open) => {
  show(chart(model(['apple', 'pear'])), { language });
  const strip = screen.getByTestId('completeness-strip');
  for (const text of counts) expect(within(strip).getByText(text)).toBeTruthy();
  expect([...strip.querySelectorAll('[data-state]')].map((part) => part.getAttribute('data-state'))).toEqual(['complete', 'missing', 'open']);
  const at = (minute: number) => option().tooltip.formatter([{ value: [START + minute * MINUTE, null] }]);
  expect(at(2)).toContain(missing);
  expect(at(3)).toContain(open);
  expect(at(3)).not.toContain(missing);
});

test('the tooltip has the largest first, and shows names from the log as text', () => {
  show(chart(model(['apple', '<img src=x onerror=alert(1)>'])));
  const html = option().tooltip.formatter([{ value: [START, null] }]);
  expect(html).not.toContain('<img');
  expect(html.indexOf('&lt;img')).toBeLessThan(html.indexOf('apple'));
});

test('a minute that was missed for good says why, and whose it was', () => {
  show(chart(model([''], ['complete', 'never', 'complete'])));
  expect(option().tooltip.formatter([{ value: [START + MINUTE, null] }])).toContain('An agent left before it had read it: trade-1');
});

test.each([
  ['en-US' as const, 'Unknown, not zero', 'there was no file to read', 'since'],
  ['zh-CN' as const, '数据未知，不是零', '没有可读的文件', '至今'],
])('a time of which nothing is known is told from a zero, in words (%s)', (language, title, why, since) => {
  const of = model([''], ['complete', 'complete', 'complete']);
  const blind = [{ from: START + MINUTE, until: START + 3 * MINUTE, reason: 'no_file' as const }];
  const { unmount } = show(chart({ ...of, blind }), { language });
  const text = screen.getByTestId('blind-strip').textContent;
  expect(text).toContain(title);
  expect(text).toContain(`${shortTime(START + MINUTE, Date.now(), language)} – ${shortTime(START + 3 * MINUTE, Date.now(), language)}`);
  expect(text).toContain(why);
  const tooltip = (minute: number) => option().tooltip.formatter([{ value: [START + minute * MINUTE, null] }]);
  expect(tooltip(0)).not.toContain(title);
  expect(tooltip(2)).toContain(`${title} · ${why}`);
  unmount();
  // One that lasts has no end yet.
  show(chart({ ...of, blind: [{ from: START, until: Date.now() + MINUTE, reason: 'no_file' }], until: Date.now() + MINUTE }), { language });
  expect(screen.getByTestId('blind-strip').textContent).toContain(since);
});

test('of many such times the newest are told in words', () => {
  const blind = Array.from({ length: 7 }, (_, n) => ({ from: START + 2 * n * MINUTE, until: START + (2 * n + 1) * MINUTE, reason: 'not_understood' as const }));
  show(chart({ ...model([''], Array.from({ length: 14 }, () => 'complete' as const)), blind }));
  const strip = screen.getByTestId('blind-strip');
  expect(strip.querySelectorAll('.strip > span')).toHaveLength(7);
  expect(within(strip).getAllByText(/none was understood/)).toHaveLength(4);
  expect(strip.textContent).toContain('3 earlier');
});

test('where all is known there is no such strip', () => {
  show(chart(model([''])));
  expect(screen.queryByTestId('blind-strip')).toBeNull();
});
