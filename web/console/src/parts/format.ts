/** Numbers, sizes and times as people read them. */

const UNITS: readonly [Intl.RelativeTimeFormatUnit, number][] = [
  ['day', 86_400_000],
  ['hour', 3_600_000],
  ['minute', 60_000],
  ['second', 1000],
];

/** `3 minutes ago`, `in 2 hours`, in the given language. */
export function relativeTime(time: number, now: number, language: string): string {
  const distance = time - now;
  const format = new Intl.RelativeTimeFormat(language, { numeric: 'auto' });
  for (const [unit, length] of UNITS) {
    if (Math.abs(distance) >= length) return format.format(Math.trunc(distance / length), unit);
  }
  return format.format(0, 'second');
}

/** Date and time in the given zone, else the user's own. */
export function absoluteTime(time: number, language: string, timeZone?: string): string {
  return new Intl.DateTimeFormat(language, {
    year: 'numeric', month: '2-digit', day: '2-digit', hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23', timeZone,
  }).format(time);
}

/** A sentence of the server's, with the times in it (`2026-01-31T12:00:00Z`) as `absoluteTime` shows them. */
export function withTimes(text: string, language: string, timeZone?: string): string {
  return text.replace(/\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z/g, (time) => absoluteTime(Date.parse(time), language, timeZone));
}

/** `09:41`, or `09:41:07`; with the day when it is not today's. */
export function shortTime(time: number, now: number, language: string, { timeZone, seconds = false }: { timeZone?: string; seconds?: boolean } = {}): string {
  const day = new Intl.DateTimeFormat('en-CA', { timeZone });
  const today = day.format(time) === day.format(now);
  return new Intl.DateTimeFormat(language, {
    ...(today ? {} : { month: '2-digit', day: '2-digit' }),
    hour: '2-digit', minute: '2-digit', ...(seconds ? { second: '2-digit' } : {}), hourCycle: 'h23', timeZone,
  }).format(time);
}

/** A figure: whole up to where digits stop mattering, at most three decimals; `–` where there is none. */
export function figure(value: number | null | undefined, language: string): string {
  if (value === null || value === undefined || Number.isNaN(value)) return '–';
  return new Intl.NumberFormat(language, { maximumFractionDigits: Math.abs(value) >= 1000 ? 1 : 3 }).format(value);
}

/** `99.95%`; never rounded up to a perfect 100, nor down to 0. */
export function percent(value: number, language: string): string {
  const rounded = Math.round(value * 100) / 100;
  const shown = rounded >= 100 && value < 100 ? 99.99 : rounded <= 0 && value > 0 ? 0.01 : rounded;
  return `${new Intl.NumberFormat(language, { maximumFractionDigits: 2 }).format(shown)}%`;
}

/** `12.5 MB`, in powers of 1024. */
export function bytes(value: number): string {
  const units = ['B', 'KB', 'MB', 'GB', 'TB'];
  let size = value;
  let unit = 0;
  while (size >= 1024 && unit < units.length - 1) {
    size /= 1024;
    unit += 1;
  }
  return `${unit === 0 || size >= 100 ? Math.round(size) : Number(size.toFixed(1))} ${units[unit] ?? ''}`;
}

/** `1.2 s`, `350 ms`, `2 min`. */
export function duration(milliseconds: number): string {
  const size = Math.abs(milliseconds);
  if (size < 1000) return `${Math.round(milliseconds)} ms`;
  if (size < 120_000) return `${Number((milliseconds / 1000).toFixed(1))} s`;
  if (size < 7_200_000) return `${Math.round(milliseconds / 60_000)} min`;
  return `${Number((milliseconds / 3_600_000).toFixed(1))} h`;
}

/** `goods=a, host=b`; empty without keys. */
export function keysText(keys: Record<string, string>): string {
  return Object.entries(keys).map(([key, value]) => `${key}=${value}`).join(', ');
}

/** Names of some, with how many more there are: `a, b, +3`. */
export function named(names: readonly string[], count: number): string {
  const more = count - names.length;
  return [...names, ...(more > 0 ? [`+${more}`] : [])].join(', ');
}
