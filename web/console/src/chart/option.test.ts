/** What is drawn, as ECharts draws it: on a server, into SVG. */
import { LineChart } from 'echarts/charts';
import { GridComponent, MarkAreaComponent, MarkLineComponent, TooltipComponent } from 'echarts/components';
import * as echarts from 'echarts/core';
import { SVGRenderer } from 'echarts/renderers';
import { expect, test } from 'vitest';
import type { WindowMark } from './completeness';
import type { ChartModel } from './model';
import { optionOf, type Look } from './option';

echarts.use([LineChart, GridComponent, TooltipComponent, MarkAreaComponent, MarkLineComponent, SVGRenderer]);

const BLUE = '#2f54eb';
const GREY = '#aaaaaa';
const LOOK: Look = { text: '#333333', grid: '#eeeeee', open: GREY, openBand: '#f4f4f4', threshold: '#ff0000', background: '#ffffff', colours: new Map([['', BLUE], ['a', BLUE], ['b', '#0f8b8d']]) };
const MINUTE = 60_000;

const mark = (minute: number, state: WindowMark['state']): WindowMark => ({ time: minute * MINUTE, state, reason: undefined, missing: [], missingCount: 0 });

function model(figures: (number | null)[], states: WindowMark['state'][] = [], more: Partial<ChartModel> = {}): ChartModel {
  const marks = figures.map((_, minute) => mark(minute, states[minute] ?? 'complete'));
  return { series: [{ id: '', name: 'count', points: marks.map((one, n) => ({ time: one.time, value: figures[n] ?? null, mark: one })) }], marks, from: 0, until: figures.length * MINUTE, stepMs: MINUTE, write: String, ...more };
}

/** Every drawn shape with its attributes. */
function draw(of: ChartModel, hidden: ReadonlySet<string> = new Set()): Record<string, string>[] {
  const chart = echarts.init(null, null, { renderer: 'svg', ssr: true, width: 800, height: 300 });
  chart.setOption({ animation: false, ...optionOf({ model: of, hidden, look: LOOK, tooltip: () => '' }) });
  const svg = chart.renderToSVGString();
  chart.dispose();
  return [...svg.matchAll(/<(?:path|polyline|polygon|rect|circle)\s([^>]*)>/g)].map(([, attributes = '']) => Object.fromEntries([...attributes.matchAll(/([\w-]+)="([^"]*)"/g)].map(([, name = '', value = '']) => [name, value])));
}

/** Lines in this colour that have a length. */
const lines = (shapes: Record<string, string>[], colour: string) => shapes.filter(({ stroke, fill, d = '', 'stroke-width': width }) => stroke === colour && fill === 'none' && width !== '0' && d.includes('L'));
const heights = ({ d = '' }: Record<string, string>) => [...d.matchAll(/[ML]([\d.]+) ([\d.]+)/g)].map(([, , y]) => Number(y));
/** Dots in this colour: ECharts draws a circle as a path of two arcs. */
const dots = (shapes: Record<string, string>[], colour: string) => shapes.filter(({ d = '', fill, stroke }) => d.includes('A') && (fill === colour || stroke === colour));

test('zeros are a flat line at the bottom, not an empty chart', () => {
  const [line, ...others] = lines(draw(model(new Array<number>(20).fill(0))), BLUE);
  expect(others).toEqual([]);
  const [first = 0, ...rest] = heights(line ?? {});
  expect(rest.length).toBeGreaterThan(0);
  expect(rest.every((y) => y === first)).toBe(true);
  expect(first).toBeGreaterThan(250);
});

test('the line does not plunge at its right edge: what is in progress is a grey ring in a dashed band', () => {
  const shapes = draw(model([...new Array<number>(19).fill(50), 2], [...new Array<'complete'>(19).fill('complete'), 'in_progress']));
  const [line] = lines(shapes, BLUE);
  expect(new Set(heights(line ?? {})).size).toBe(1);
  expect(dots(shapes, GREY)).toHaveLength(1);
  expect(shapes.some(({ stroke, 'stroke-dasharray': dash }) => stroke === GREY && dash !== undefined)).toBe(true);
});

test('a window that lacks something is reached by dashes', () => {
  const shapes = draw(model(new Array<number>(20).fill(50).with(9, 20), new Array<WindowMark['state']>(20).fill('complete').with(9, 'partial')));
  expect(lines(shapes, BLUE).filter(({ 'stroke-dasharray': dash }) => dash !== undefined)).toHaveLength(1);
});

test('a lone point can be seen', () => {
  const figures = new Array<number | null>(30).fill(null).with(12, 7);
  expect(dots(draw(model(figures)), BLUE)).toHaveLength(1);
  expect(dots(draw(model(new Array<number>(30).fill(7))), BLUE)).toEqual([]);
});

test('a hidden series is not drawn; the one that is left is filled', () => {
  const { marks, ...rest } = model(new Array<number>(20).fill(1));
  const points = marks.map((one) => ({ time: one.time, value: 1, mark: one }));
  const both: ChartModel = { ...rest, marks, series: [{ id: 'a', name: 'a', points }, { id: 'b', name: 'b', points }] };
  expect(lines(draw(both), '#0f8b8d')).toHaveLength(1);
  const alone = draw(both, new Set(['b']));
  expect(lines(alone, '#0f8b8d')).toEqual([]);
  expect(alone.some(({ fill, 'fill-opacity': opacity }) => fill === BLUE && opacity === '0.1')).toBe(true);
});

test('a threshold is a line across, with its name', () => {
  const red = (value: number) => draw(model(new Array<number>(20).fill(50), [], { thresholds: [{ value, label: 'P1' }] })).filter(({ stroke }) => stroke === '#ff0000');
  expect(red(40)).toHaveLength(1);
  expect(red(80)).toHaveLength(1);
  // Figures would lie flat under it.
  expect(red(5000)).toEqual([]);
});
