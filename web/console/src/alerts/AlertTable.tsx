import { Grid, Table, type TableColumnsType } from 'antd';
import { useTranslation } from 'react-i18next';
import { Link } from 'react-router';
import type { Alert } from '@/api/types';
import { DocumentLink } from '@/parts/DocumentLink';
import { Nothing } from '@/parts/Page';
import { AlertStatusTag, KeyTags, LevelTag } from '@/parts/tags';
import { TimeText } from '@/parts/TimeText';
import { useSession } from '@/session';

interface Props {
  alerts: Alert[];
  loading: boolean;
  /** For a card: less of each. */
  compact?: boolean;
  filtered?: boolean;
}

export function AlertTable({ alerts, loading, compact: asked = false, filtered = false }: Props) {
  const wide = Grid.useBreakpoint().md ?? true;
  const compact = asked || !wide;
  const { t } = useTranslation();
  const { link } = useSession();
  const columns: TableColumnsType<Alert> = [
    { title: t('rule.level'), key: 'level', width: 70, render: (_, alert) => <LevelTag level={alert.level} /> },
    {
      title: t('alert.alert'),
      key: 'alert',
      render: (_, alert) => (
        <>
          <Link to={link(`alerts/${alert.id}`)} data-testid={`alert-${alert.id}`}>{alert.ruleTitle || alert.rule}</Link>
          {compact && Object.keys(alert.keys).length > 0 && <KeyTags keys={alert.keys} />}
          <div className="muted" style={{ overflowWrap: 'anywhere', whiteSpace: 'normal', minWidth: compact ? 0 : 220, maxWidth: 480 }}>{alert.summary}</div>
        </>
      ),
    },
    ...(compact ? [] : [{ title: t('alert.keys'), key: 'keys', render: (_: unknown, alert: Alert) => <KeyTags keys={alert.keys} /> }, { title: t('kind.monitors'), key: 'monitor', render: (_: unknown, alert: Alert) => <DocumentLink plural="monitors" name={alert.monitor} /> }]),
    {
      title: t('state.state'),
      key: 'status',
      width: compact ? 130 : undefined,
      render: (_, alert) => (
        <>
          <AlertStatusTag status={alert.status} />
          {compact && <div className="muted"><TimeText value={alert.startedAt} /></div>}
        </>
      ),
    },
    ...(compact ? [] : [
      { title: t('alert.started'), key: 'started', render: (_: unknown, alert: Alert) => <TimeText value={alert.startedAt} /> },
      { title: t('alert.ended'), key: 'ended', render: (_: unknown, alert: Alert) => <TimeText value={alert.endedAt} /> }]),
  ];
  return (
    <Table
      size={compact ? 'small' : undefined}
      rowKey="id"
      dataSource={alerts}
      loading={loading}
      columns={columns}
      pagination={false}
      scroll={compact ? undefined : { x: 'max-content' }}
      data-testid="alerts"
      locale={{ emptyText: loading ? ' ' : <Nothing title={t(filtered ? 'state.noMatch' : 'empty.alerts')} help={filtered ? undefined : t('empty.alertsHelp')} /> }}
    />
  );
}
