/** What stands at a window when it is pointed at. */

import { format } from 'echarts/core';
import { blindAt, type BlindStretch } from './blind';
import type { ChartModel } from './model';

/** More keys than this are told by their number. */
const MOST_ROWS = 12;

export interface Told {
  name: string;
  colour: string;
  value: string;
  /** Said of a key whose completeness is not that of the whole. */
  note: string | undefined;
}

export interface TooltipText {
  title: string;
  state: string | undefined;
  rows: Told[];
  more: string | undefined;
}

interface Words {
  title: (time: number) => string;
  state: (mark: NonNullable<ChartModel['marks'][number]>) => string;
  blind: (reason: BlindStretch['reason']) => string;
  more: (count: number) => string;
}

/** The figures of a window, the largest first. */
export function tooltipOf(model: ChartModel, hidden: ReadonlySet<string>, colours: ReadonlyMap<string, string>, time: number, words: Words): TooltipText {
  const whole = model.marks.find((mark) => mark.time === time);
  const blind = blindAt(model.blind ?? [], time);
  const state = [whole && words.state(whole), blind && words.blind(blind.reason)].filter((text) => text !== undefined).join(' · ');
  const found = model.series
    .filter(({ id }) => !hidden.has(id))
    .flatMap((series) => {
      const point = series.points.find((one) => one.time === time);
      return point && point.value !== null ? [{ series, value: point.value, mark: point.mark }] : [];
    })
    .sort((a, b) => b.value - a.value);
  return {
    title: words.title(time),
    state: state || undefined,
    rows: found.slice(0, MOST_ROWS).map(({ series, value, mark }) => ({
      name: series.name,
      colour: colours.get(series.id) ?? '',
      value: model.write(value),
      note: mark && whole && mark.state !== whole.state ? words.state(mark) : undefined,
    })),
    more: found.length > MOST_ROWS ? words.more(found.length - MOST_ROWS) : undefined,
  };
}

/** As markup. Names of keys come from log lines: they are shown as text, never as markup. */
export function tooltipHtml({ title, state, rows, more }: TooltipText): string {
  const text = format.encodeHTML;
  const swatch = (colour: string) => `<span style="display:inline-block;width:8px;height:8px;border-radius:2px;margin-inline-end:6px;background:${text(colour)}"></span>`;
  return [
    `<b>${text(title)}</b>`,
    ...(state === undefined ? [] : [`<span style="opacity:.75">${text(state)}</span>`]),
    ...rows.map(({ name, colour, value, note }) => `${swatch(colour)}${text(name)} <b style="margin-inline-start:8px">${text(value)}</b>${note === undefined ? '' : ` <span style="opacity:.75">${text(note)}</span>`}`),
    ...(more === undefined ? [] : [`<span style="opacity:.75">${text(more)}</span>`]),
  ].join('<br>');
}
