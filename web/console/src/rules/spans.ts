/** Lengths of time as documents write them, `90s`, `5m`, `2h`, and conditions as people read them. */

import type { Condition, MonitorSpec, StatFn, Take } from '@/api/types';

const MINUTES: Record<string, number> = { ms: 1 / 60_000, s: 1 / 60, m: 1, h: 60, d: 1440 };

/** Minutes in a length of time such as `5m`; nothing for anything else. */
export function spanMinutes(text: string | undefined): number | undefined {
  const [, amount, unit] = /^(\d+)(ms|[smhd])$/.exec(text ?? '') ?? [];
  const factor = MINUTES[unit ?? ''];
  return amount === undefined || factor === undefined ? undefined : Number(amount) * factor;
}

export const TAKES = ['now', 'sum', 'avg', 'min', 'max'] as const;
export type TakeType = (typeof TAKES)[number];

/** A sum of these says nothing. */
const AVERAGES: readonly StatFn[] = ['avg', 'success_rate'];

/** What a condition can take of a statistic, by the length of the monitor's windows. `now` of a second would pass over all others of its minute. */
export function takesOf(type: MonitorSpec['type'] | undefined, fn: StatFn | undefined): TakeType[] {
  const bySecond = type === 'second' || type === 'second_multi_key';
  return TAKES.filter((take) => !(take === 'now' && bySecond) && !(take === 'sum' && fn !== undefined && AVERAGES.includes(fn)));
}

export function takeOf(take: Take | undefined): { type: TakeType; span: string | undefined } {
  const [type, span]: [string, unknown] = Object.entries<unknown>(take ?? { now: {} })[0] ?? ['now', undefined];
  return { type: TAKES.find((one) => one === type) ?? 'now', span: typeof span === 'string' ? span : undefined };
}

export function takeFrom(type: TakeType, span: string): Take {
  switch (type) {
    case 'now':
      return { now: {} };
    case 'sum':
      return { sum: span };
    case 'avg':
      return { avg: span };
    case 'min':
      return { min: span };
    case 'max':
      return { max: span };
  }
}

/** `cost_avg > 100`, `sum(count, 5m) >= 3` */
export function conditionText({ field, take, op, threshold }: Condition): string {
  const { type, span } = takeOf(take);
  return `${type === 'now' ? field : `${type}(${field}, ${span ?? ''})`} ${op} ${threshold}`;
}
