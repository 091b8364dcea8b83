import { Select, Table, Tag, Tooltip } from 'antd';
import { useMemo, useState } from 'react';
import { useTranslation } from 'react-i18next';
import type { TopItem, Windows } from '@/api/types';
import { marksOf } from '@/chart/completeness';
import { absoluteTime, figure } from '@/parts/format';
import { Nothing } from '@/parts/Page';
import { CompletenessTag } from '@/parts/tags';
import { FigureChart } from './FigureChart';
import type { Statistic } from './figures';
import { isCertain, itemId, latestTop, topSeries, withError } from './top';
import type { Bounds } from './windows';

interface Props {
  monitor: string;
  windows: Windows;
  bounds: Bounds;
  stats: readonly Statistic[];
  stat: Statistic;
  hosts: ReadonlyMap<string, string>;
}

/** The greatest keys: of one window as a table with how sure they are, and how they came to be as a chart. */
export function TopFigures({ monitor, windows, bounds, stats, stat, hosts }: Props) {
  const { t, i18n } = useTranslation();
  const [time, setTime] = useState<string>();
  const all = windows.top?.windows ?? [];
  const chosen = all.find((one) => one.time === time) ?? latestTop(windows);
  const chart = useMemo(() => (chosen ? topSeries(windows, chosen) : windows), [windows, chosen]);
  const by = windows.top?.rankedBy ?? '';
  if (!chosen) return <Nothing title={t('monitor.noLines')} />;
  const mark = marksOf(windows.completeness).find((one) => one.time === Date.parse(chosen.time));
  const rows = chosen.items.map((item, index) => ({ item, rank: index + 1 }));
  type Row = (typeof rows)[number];
  const error = chosen.errors[by];

  return (
    <>
      <FigureChart monitor={monitor} windows={chart} bounds={bounds} stat={stat} hosts={hosts} />
      <div className="row" style={{ marginTop: 16 }}>
        <Select
          value={chosen.time}
          onChange={setTime}
          options={all.toReversed().map((one) => ({ value: one.time, label: absoluteTime(Date.parse(one.time), i18n.language) }))}
          aria-label={t('top.window')}
          style={{ minWidth: 200 }}
          data-testid="top-window"
        />
        {mark && <CompletenessTag mark={mark} hosts={hosts} />}
        {chosen.exact ? (
          <Tag color="green" data-testid="top-exact">{t('top.exact')}</Tag>
        ) : (
          <Tooltip title={t('top.approximateHelp', { count: chosen.keysKept, absent: figure(chosen.absentAtMost, i18n.language) })}>
            <Tag color="gold" data-testid="top-approximate">{t('top.approximate', { by, error: figure(error, i18n.language) })}</Tag>
          </Tooltip>
        )}
      </div>
      <Table
        size="small"
        rowKey={({ item }: Row) => itemId(item)}
        dataSource={rows}
        pagination={{ defaultPageSize: 20, showSizeChanger: true, hideOnSinglePage: true }}
        scroll={{ x: 'max-content' }}
        style={{ marginTop: 8 }}
        data-testid="top-table"
        columns={[
          { title: t('top.rank'), dataIndex: 'rank', key: 'rank', width: 64 },
          ...(windows.top?.groupBy ?? []).map((key) => ({ title: key, key: `by-${key}`, render: (_: unknown, { item }: Row) => item.keys[key] ?? '' })),
          ...stats.map(({ name }) => ({
            title: name,
            key: `stat-${name}`,
            align: 'end' as const,
            className: 'figure',
            render: (_: unknown, { item }: Row) => <Figure item={item} stat={name} uncertain={name === by && !isCertain(chosen, item, by)} />,
          })),
        ]}
      />
    </>
  );
}

function Figure({ item, stat, uncertain }: { item: TopItem; stat: string; uncertain: boolean }) {
  const { t, i18n } = useTranslation();
  const text = withError(item, stat, i18n.language);
  return uncertain ? <Tooltip title={t('top.uncertain')}><span className="muted">{text}</span></Tooltip> : <span>{text}</span>;
}
