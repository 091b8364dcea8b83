import { Table } from 'antd';
import { useMemo } from 'react';
import { useTranslation } from 'react-i18next';
import type { Windows } from '@/api/types';
import { marksOf } from '@/chart/completeness';
import { shortTime } from '@/parts/format';
import { Nothing } from '@/parts/Page';
import { useNow } from '@/parts/TimeText';
import { latestByKey, writer, type FigureRow, type Statistic } from './figures';

interface Props {
  windows: Windows;
  stats: readonly Statistic[];
}

/** The services as they are now: a row for each key, of its newest minute that is whole. */
export function ServiceTable({ windows, stats }: Props) {
  const { t, i18n } = useTranslation();
  const now = useNow();
  const rows = useMemo(() => latestByKey(windows, stats[0]?.name ?? '', marksOf(windows.completeness)), [windows, stats]);
  return (
    <Table
      size="small"
      rowKey="id"
      dataSource={rows}
      pagination={{ defaultPageSize: 20, hideOnSinglePage: true }}
      scroll={{ x: 'max-content' }}
      data-testid="service-table"
      locale={{ emptyText: <Nothing title={t('monitor.noFigures')} /> }}
      columns={[
        ...windows.by.map((key) => ({ title: key, key: `by-${key}`, render: (_: unknown, row: FigureRow) => row.keys[key] ?? '' })),
        ...stats.map((stat) => ({
          title: t(`serviceStat.${stat.name}`, { defaultValue: stat.name }),
          key: stat.name,
          align: 'end' as const,
          className: 'figure',
          sorter: (a: FigureRow, b: FigureRow) => (a.values[stat.name] ?? -Infinity) - (b.values[stat.name] ?? -Infinity),
          render: (_: unknown, row: FigureRow) => {
            const value = row.values[stat.name];
            const failing = stat.fn === 'failure' && typeof value === 'number' && value > 0;
            return <span className={failing ? 'failing' : undefined}>{writer(stat, i18n.language)(value)}</span>;
          },
        })),
        { title: t('service.minute'), key: 'minute', align: 'end', render: (_, row) => <span className="muted">{shortTime(row.time, now, i18n.language)}</span> },
      ]}
    />
  );
}
