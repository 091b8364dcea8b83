/** Changes to a monitor's spec that keep its parts in agreement. */

import type { MonitorSpec, Resource, ServiceSpec, Stat } from '@/api/types';

export const DIMENSIONS = ['$app', '$idc', '$ldc', '$host', '$ip', '$env'] as const;

export function blankMonitor(folder?: string): Resource<MonitorSpec> {
  return {
    kind: 'Monitor',
    metadata: { name: '', ...(folder ? { folder } : {}) },
    spec: { type: 'minute', source: { log: { paths: [] } }, columns: [], stats: [COUNT] },
  };
}

/** What a monitor yields, whether by keys or not. */
export type Family = 'minute' | 'second' | 'service_metrics' | 'minute_top';

export function familyOf(type: MonitorSpec['type']): Family {
  if (type === 'minute_multi_key') return 'minute';
  if (type === 'second_multi_key') return 'second';
  return type;
}

/** Length of the windows that it stores. */
export const widthOf = (type: MonitorSpec['type']): number => (familyOf(type) === 'second' ? 1000 : 60_000);

const COUNT: Stat = { name: 'count', fn: 'lines' };

/** Of minutes and seconds, grouping decides the type: one figure each without, one for each key with. */
export function withGroupBy(spec: MonitorSpec, groupBy: string[]): MonitorSpec {
  const family = familyOf(spec.type);
  const keyed = groupBy.length > 0 && (family === 'minute' || family === 'second');
  const next: MonitorSpec = { ...spec, type: keyed ? `${family}_multi_key` : family, group_by: groupBy };
  if (groupBy.length === 0) delete next.group_by;
  return next;
}

/** The monitor as one of another family: what the family does not have goes, what it cannot do without comes. */
export function withFamily(spec: MonitorSpec, family: Family): MonitorSpec {
  const { service, top, stats, ...rest } = spec;
  const next: MonitorSpec = withGroupBy({ ...rest, type: family }, spec.group_by ?? []);
  if (family === 'service_metrics') {
    const columns = spec.columns ?? [];
    const cost = columns.find(({ number }) => number)?.name;
    const result = columns.findLast(({ number }) => !number)?.name ?? '';
    return { ...next, service: service ?? { result, success: ['Y'], ...(cost ? { cost } : {}) } };
  }
  // The statistics of service metrics are not chosen, so none of them is kept.
  const own = stats && stats.length > 0 && familyOf(spec.type) !== 'service_metrics' ? stats : [COUNT];
  if (family === 'minute_top') {
    // It takes any number of keys.
    delete next.limits;
    return withStats({ ...next, top: top ?? { n: 10, by: '' } }, topStats(own));
  }
  return { ...next, stats: own };
}

const TOP_FUNCTIONS: readonly Stat['fn'][] = ['lines', 'sum', 'avg'];

/** What the statistics of a type may be, of those that are chosen. */
export const functionsOf = (type: MonitorSpec['type'], all: readonly Stat['fn'][]): readonly Stat['fn'][] => (type === 'minute_top' ? all.filter((fn) => TOP_FUNCTIONS.includes(fn)) : all);

/** Whether keys can be ranked by it without keeping all of them. */
export const ranks = ({ fn }: Stat): boolean => fn === 'lines' || fn === 'sum';

/** Those that a Top can have: of one column, and one to rank by. */
function topStats(stats: readonly Stat[]): Stat[] {
  const column = stats.find(({ fn, column }) => fn !== 'lines' && TOP_FUNCTIONS.includes(fn) && column)?.column;
  const kept = stats.filter((stat) => TOP_FUNCTIONS.includes(stat.fn) && (stat.fn === 'lines' || stat.column === column));
  return kept.some(ranks) ? kept : [COUNT, ...kept];
}

/** With these statistics; a Top stays ranked by the one it was, under whatever name. */
export function withStats(spec: MonitorSpec, stats: Stat[]): MonitorSpec {
  if (!spec.top) return { ...spec, stats };
  const { by } = spec.top;
  const before = spec.stats ?? [];
  const same = stats.length === before.length ? stats[before.findIndex(({ name }) => name === by)] : stats.find(({ name }) => name === by);
  const kept = same && ranks(same) ? same : stats.find(ranks);
  return { ...spec, stats, top: { ...spec.top, by: kept?.name ?? '' } };
}

/** The statistics of service metrics follow from this; those that the server wrote for what it was before go. */
export function withService(spec: MonitorSpec, change: Partial<ServiceSpec>): MonitorSpec {
  const service = { result: '', ...spec.service, ...change };
  if (!service.cost) delete service.cost;
  const next = { ...spec, service };
  delete next.stats;
  return next;
}

/** Renames a column wherever the spec speaks of it. */
export function withRenamedColumn(spec: MonitorSpec, index: number, name: string): MonitorSpec {
  const before = spec.columns?.[index]?.name;
  const rename = (one: string) => (one === before ? name : one);
  return {
    ...spec,
    columns: spec.columns?.map((column, at) => (at === index ? { ...column, name } : column)),
    ...mapMentions(spec, rename),
  };
}

/** Takes a column out, with the filters, groupings and statistics that are about it. */
export function withoutColumn(spec: MonitorSpec, index: number): MonitorSpec {
  const gone = spec.columns?.[index]?.name;
  const stats = (spec.stats ?? []).filter((stat) => stat.column !== gone);
  const kept: MonitorSpec = {
    ...spec,
    columns: spec.columns?.toSpliced(index, 1),
    ...(spec.stats ? { stats: stats.length > 0 ? stats : [COUNT] } : {}),
    ...(spec.service ? { service: withoutMention(spec.service, gone) } : {}),
    ...(spec.filter
      ? {
          filter: {
            include: spec.filter.include?.filter((entry) => entry.column !== gone),
            exclude: spec.filter.exclude?.filter((entry) => entry.column !== gone),
          },
        }
      : {}),
  };
  return withGroupBy(kept.stats ? withStats({ ...kept, stats: spec.stats }, kept.stats) : kept, (spec.group_by ?? []).filter((name) => name !== gone));
}

function withoutMention(service: ServiceSpec, gone: string | undefined): ServiceSpec {
  const { cost, ...rest } = service;
  return { ...rest, result: service.result === gone ? '' : service.result, ...(cost && cost !== gone ? { cost } : {}) };
}

function mapMentions(spec: MonitorSpec, rename: (name: string) => string): Partial<MonitorSpec> {
  return {
    ...(spec.group_by ? { group_by: spec.group_by.map(rename) } : {}),
    ...(spec.stats ? { stats: spec.stats.map((stat): Stat => (stat.column === undefined || stat.column === null ? stat : { ...stat, column: rename(stat.column) })) } : {}),
    ...(spec.service ? { service: { ...spec.service, result: rename(spec.service.result), ...(spec.service.cost ? { cost: rename(spec.service.cost) } : {}) } } : {}),
    ...(spec.filter
      ? {
          filter: {
            include: spec.filter.include?.map((entry) => ({ ...entry, column: rename(entry.column) })),
            exclude: spec.filter.exclude?.map((entry) => ({ ...entry, column: rename(entry.column) })),
          },
        }
      : {}),
  };
}

/** A name for a statistic: `cost_avg`; for the lines `count`. */
export function statName({ fn, column }: Omit<Stat, 'name'>, taken: readonly string[]): string {
  const base = fn === 'lines' ? 'count' : `${column ?? 'value'}_${fn}`;
  for (let n = 1; ; n += 1) {
    const name = n === 1 ? base : `${base}_${n}`;
    if (!taken.includes(name)) return name;
  }
}

/** The document under a new name, as a copy of it starts. */
export function copyOf(resource: Resource<MonitorSpec>, taken: readonly string[]): Resource<MonitorSpec> {
  const { displayName, folder, labels, name } = resource.metadata;
  let copy = `${name.slice(0, 55)}-copy`;
  for (let n = 2; taken.includes(copy); n += 1) copy = `${name.slice(0, 52)}-copy-${n}`;
  return { kind: resource.kind, metadata: { name: copy, displayName, folder, labels }, spec: resource.spec };
}
