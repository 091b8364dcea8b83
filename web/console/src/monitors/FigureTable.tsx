import { Table } from 'antd';
import { useMemo } from 'react';
import { useTranslation } from 'react-i18next';
import type { Windows } from '@/api/types';
import { absoluteTime, figure } from '@/parts/format';
import { Nothing } from '@/parts/Page';
import { CompletenessTag } from '@/parts/tags';
import { marksByStep, type Marks } from './series';

interface Row {
  id: string;
  time: number;
  keys: Record<string, string>;
  values: Record<string, number | null>;
  mark: Marks | undefined;
}

/** The figures as rows, the newest first. */
export function FigureTable({ windows, stepMs, hosts }: { windows: Windows; stepMs: number; hosts: Map<string, string> }) {
  const { t, i18n } = useTranslation();
  const rows = useMemo(() => {
    const marks = new Map(marksByStep(windows.completeness, stepMs).map((mark) => [mark.time, mark]));
    const found = windows.series.flatMap(({ keys, points }, index) =>
      points.map((point): Row => {
        const time = Date.parse(point.time);
        return { id: `${time}/${index}`, time, keys, values: point.values, mark: marks.get(time) };
      }),
    );
    return found.sort((a, b) => b.time - a.time);
  }, [windows, stepMs]);

  return (
    <Table
      size="small"
      rowKey="id"
      dataSource={rows}
      pagination={{ defaultPageSize: 10, showSizeChanger: true, hideOnSinglePage: true }}
      scroll={{ x: 'max-content' }}
      style={{ marginTop: 16 }}
      data-testid="figures"
      locale={{ emptyText: <Nothing title={t('monitor.noLines')} /> }}
      columns={[
        { title: t('form.time'), key: 'time', render: (_, row) => absoluteTime(row.time, i18n.language) },
        ...windows.by.map((key) => ({ title: key, key: `by-${key}`, render: (_: unknown, row: Row) => row.keys[key] ?? '' })),
        ...windows.stats.map((stat) => ({
          title: stat,
          key: `stat-${stat}`,
          align: 'end' as const,
          sorter: (a: Row, b: Row) => (a.values[stat] ?? -Infinity) - (b.values[stat] ?? -Infinity),
          render: (_: unknown, row: Row) => figure(row.values[stat], i18n.language),
        })),
        {
          title: t('completeness.title'),
          key: 'completeness',
          render: (_, { mark }) => (mark ? <CompletenessTag state={mark.state} missing={mark.missing.map((agent) => hosts.get(agent) ?? agent)} count={mark.missingCount} /> : '–'),
        },
      ]}
    />
  );
}
