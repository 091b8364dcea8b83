import { Table } from 'antd';
import { useMemo } from 'react';
import { useTranslation } from 'react-i18next';
import type { Windows } from '@/api/types';
import { marksOf, shownAs } from '@/chart/completeness';
import { absoluteTime } from '@/parts/format';
import { Nothing } from '@/parts/Page';
import { CompletenessTag } from '@/parts/tags';
import { figureRows, writer, type FigureRow, type Statistic } from './figures';

interface Props {
  windows: Windows;
  stats: readonly Statistic[];
  hosts: ReadonlyMap<string, string>;
}

/** The figures as rows, the newest first. */
export function FigureTable({ windows, stats, hosts }: Props) {
  const { t, i18n } = useTranslation();
  const rows = useMemo(() => figureRows(windows, marksOf(windows.completeness)), [windows]);

  return (
    <Table
      size="small"
      rowKey="id"
      rowClassName={({ mark }) => (mark && shownAs(mark) === 'open' ? 'muted' : '')}
      dataSource={rows}
      pagination={{ defaultPageSize: 10, showSizeChanger: true, hideOnSinglePage: true }}
      scroll={{ x: 'max-content' }}
      style={{ marginTop: 16 }}
      data-testid="figures"
      locale={{ emptyText: <Nothing title={t('monitor.noLines')} /> }}
      columns={[
        { title: t('form.time'), key: 'time', render: (_, row) => absoluteTime(row.time, i18n.language) },
        ...windows.by.map((key) => ({ title: key, key: `by-${key}`, render: (_: unknown, row: FigureRow) => row.keys[key] ?? '' })),
        ...stats.map(({ name, fn }) => ({
          title: name,
          key: `stat-${name}`,
          align: 'end' as const,
          className: 'figure',
          sorter: (a: FigureRow, b: FigureRow) => (a.values[name] ?? -Infinity) - (b.values[name] ?? -Infinity),
          render: (_: unknown, row: FigureRow) => writer({ name, fn }, i18n.language)(row.values[name]),
        })),
        { title: t('completeness.title'), key: 'completeness', render: (_, { mark }) => (mark ? <CompletenessTag mark={mark} hosts={hosts} /> : '–') },
      ]}
    />
  );
}
