/** Changes to a monitor's spec that keep its parts in agreement. */

import type { MonitorSpec, Resource, Stat } from '@/api/types';

export const DIMENSIONS = ['$app', '$idc', '$ldc', '$host', '$ip', '$env'] as const;

export function blankMonitor(folder?: string): Resource<MonitorSpec> {
  return {
    kind: 'Monitor',
    metadata: { name: '', ...(folder ? { folder } : {}) },
    spec: { type: 'minute', source: { log: { paths: [] } }, columns: [], stats: [{ name: 'count', fn: 'lines' }] },
  };
}

/** Grouping decides the type: one figure a minute without, one for each key with. */
export function withGroupBy(spec: MonitorSpec, groupBy: string[]): MonitorSpec {
  const next: MonitorSpec = { ...spec, type: groupBy.length > 0 ? 'minute_multi_key' : 'minute', group_by: groupBy };
  if (groupBy.length === 0) delete next.group_by;
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
    stats: stats.length > 0 ? stats : [{ name: 'count', fn: 'lines' }],
    ...(spec.filter
      ? {
          filter: {
            include: spec.filter.include?.filter((entry) => entry.column !== gone),
            exclude: spec.filter.exclude?.filter((entry) => entry.column !== gone),
          },
        }
      : {}),
  };
  return withGroupBy(kept, (spec.group_by ?? []).filter((name) => name !== gone));
}

function mapMentions(spec: MonitorSpec, rename: (name: string) => string): Partial<MonitorSpec> {
  return {
    ...(spec.group_by ? { group_by: spec.group_by.map(rename) } : {}),
    ...(spec.stats ? { stats: spec.stats.map((stat): Stat => (stat.column === undefined || stat.column === null ? stat : { ...stat, column: rename(stat.column) })) } : {}),
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
