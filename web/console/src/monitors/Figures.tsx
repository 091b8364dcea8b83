/** Which lines count, by what they are grouped, and what is taken of them. */

import { DeleteOutlined, PlusOutlined } from '@ant-design/icons';
import { Button, Form, Input, Select } from 'antd';
import { useTranslation } from 'react-i18next';
import type { ColumnFilter, MonitorSpec, Stat, StatFn } from '@/api/types';
import { useDocument } from '@/documents/draft';
import { Field, fieldId } from '@/documents/fields';
import { problemsAt } from '@/documents/path';
import type { Yields } from './MonitorForm';
import { distinctValues } from './picks';
import { DIMENSIONS, functionsOf, statName, withGroupBy, withStats } from './spec';

const FUNCTIONS: readonly StatFn[] = ['lines', 'sum', 'avg', 'min', 'max'];

export function FilterRows({ yields }: { yields: Yields }) {
  return (
    <>
      <FilterSide side="include" yields={yields} />
      <FilterSide side="exclude" yields={yields} />
    </>
  );
}

function FilterSide({ side, yields }: { side: 'include' | 'exclude'; yields: Yields }) {
  const { t } = useTranslation();
  const draft = useDocument<MonitorSpec>();
  const { spec } = draft.document;
  const entries = spec.filter?.[side] ?? [];
  const path = `spec.filter.${side}`;
  const names = (spec.columns ?? []).map(({ name }) => ({ value: name, label: name }));
  const change = (next: ColumnFilter[]) => draft.set(path, next.length > 0 ? next : undefined);

  return (
    <Form.Item label={t(`filter.${side}`)} extra={t(`filter.${side}Help`)} style={{ marginBottom: 16 }}>
      <div style={{ display: 'grid', gap: 6 }}>
        {entries.map((entry, index) => {
          const problems = problemsAt(draft.problems, `${path}[${index}]`);
          return (
            <div key={index}>
              <div className="row" style={{ flexWrap: 'nowrap' }}>
                <Select value={entry.column || undefined} disabled={draft.readOnly} options={names} placeholder={t('filter.column')} aria-label={t('filter.column')} onChange={(column) => change(entries.with(index, { ...entry, column }))} style={{ width: 160, flex: 'none' }} status={problems.length > 0 ? 'error' : ''} data-testid={`${side}-column-${index}`} />
                <Select
                  mode="tags"
                  value={entry.in}
                  disabled={draft.readOnly}
                  options={distinctValues(yields[entry.column] ?? []).map((value) => ({ value, label: value }))}
                  placeholder={t('filter.values')}
                  aria-label={t('filter.values')}
                  onChange={(values) => change(entries.with(index, { ...entry, in: values }))}
                  style={{ flex: 1, minWidth: 0 }}
                  status={problems.length > 0 ? 'error' : ''}
                  data-testid={`${side}-values-${index}`}
                />
                {!draft.readOnly && <Button type="text" icon={<DeleteOutlined />} aria-label={t('action.remove')} onClick={() => change(entries.toSpliced(index, 1))} />}
              </div>
              {problems.map((problem) => <div key={problem.path} role="alert" style={{ color: '#ff4d4f' }}>{problem.message}</div>)}
            </div>
          );
        })}
        {!draft.readOnly && (
          <Button type="dashed" size="small" icon={<PlusOutlined />} disabled={names.length === 0} onClick={() => change([...entries, { column: names.length === 1 ? (names[0]?.value ?? '') : '', in: [] }])} style={{ justifySelf: 'start' }} data-testid={`${side}-add`}>{t('action.add')}</Button>
        )}
      </div>
    </Form.Item>
  );
}

export function GroupByField() {
  const { t } = useTranslation();
  const draft = useDocument<MonitorSpec>();
  const { spec } = draft.document;
  const options = [
    { label: t('monitor.columns'), options: (spec.columns ?? []).map(({ name }) => ({ value: name, label: name })) },
    { label: t('group.dimensions'), options: DIMENSIONS.map((name) => ({ value: name, label: `${name} ${t(`dimension.${name.slice(1)}`)}` })) },
  ];
  return (
    <Field path="spec.group_by" label={t('group.by')} help={t('group.byHelp')}>
      {({ id, value, disabled }) => (
        <Select
          id={id}
          mode="multiple"
          value={(Array.isArray(value) ? value : []) as string[]}
          disabled={disabled}
          options={options}
          placeholder={t('group.none')}
          onChange={(names) => draft.set('spec', withGroupBy(spec, names))}
          data-testid="group-by"
        />
      )}
    </Field>
  );
}

export function StatRows() {
  const { t } = useTranslation();
  const draft = useDocument<MonitorSpec>();
  const { spec } = draft.document;
  const stats = spec.stats ?? [];
  const columns = (spec.columns ?? []).map(({ name }) => ({ value: name, label: name }));
  const change = (next: Stat[]) => (spec.top ? draft.set('spec', withStats(spec, next)) : draft.set('spec.stats', next));
  const others = (index: number) => stats.filter((_, at) => at !== index).map(({ name }) => name);

  /** A name that was made up follows what the statistic becomes; a typed one stays. */
  const alter = (index: number, before: Stat, after: Omit<Stat, 'name'>) => {
    const madeUp = before.name === statName(before, others(index));
    change(stats.with(index, { ...after, name: madeUp ? statName(after, others(index)) : before.name }));
  };

  return (
    <Form.Item label={t('stat.title')} htmlFor={fieldId('spec.stats')} required style={{ marginBottom: 0 }}>
      <div style={{ display: 'grid', gap: 6 }} id={fieldId('spec.stats')}>
        {stats.map((stat, index) => {
          const problems = problemsAt(draft.problems, `spec.stats[${index}]`);
          const status = problems.length > 0 ? 'error' : '';
          return (
            <div key={index}>
              <div className="row" data-testid={`stat-${index}`}>
                <Select
                  value={stat.fn}
                  disabled={draft.readOnly}
                  aria-label={t('stat.fn')}
                  options={functionsOf(spec.type, FUNCTIONS).map((fn) => ({ value: fn, label: t(`fn.${fn}`) }))}
                  onChange={(fn) => alter(index, stat, fn === 'lines' ? { fn } : { fn, column: stat.column ?? spec.columns?.find(({ number }) => number)?.name ?? columns[0]?.value })}
                  style={{ width: 130 }}
                  data-testid={`stat-fn-${index}`}
                />
                {stat.fn !== 'lines' && (
                  <Select value={stat.column} disabled={draft.readOnly} aria-label={t('stat.column')} placeholder={t('stat.column')} options={columns} status={status} onChange={(column) => alter(index, stat, { fn: stat.fn, column })} style={{ width: 150 }} data-testid={`stat-column-${index}`} />
                )}
                <Input value={stat.name} disabled={draft.readOnly} aria-label={t('stat.name')} prefix={<span className="muted">{t('stat.name')}</span>} status={status} onChange={(event) => change(stats.with(index, { ...stat, name: event.target.value.trim() }))} style={{ width: 220 }} data-testid={`stat-name-${index}`} />
                {!draft.readOnly && <Button type="text" icon={<DeleteOutlined />} aria-label={t('action.remove')} disabled={stats.length === 1} onClick={() => change(stats.toSpliced(index, 1))} />}
              </div>
              {problems.map((problem) => <div key={problem.path} role="alert" style={{ color: '#ff4d4f' }}>{problem.message}</div>)}
            </div>
          );
        })}
        {!draft.readOnly && (
          <Button
            type="dashed"
            size="small"
            icon={<PlusOutlined />}
            style={{ justifySelf: 'start' }}
            data-testid="stat-add"
            onClick={() => {
              const column = spec.columns?.find(({ number }) => number)?.name;
              const stat = column ? { fn: 'avg' as const, column } : { fn: 'lines' as const };
              change([...stats, { ...stat, name: statName(stat, stats.map(({ name }) => name)) }]);
            }}
          >
            {t('action.add')}
          </Button>
        )}
      </div>
    </Form.Item>
  );
}
