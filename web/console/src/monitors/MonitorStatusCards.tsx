import { Card, Table } from 'antd';
import { useTranslation } from 'react-i18next';
import { Link } from 'react-router';
import { Failure } from '@/parts/Failure';
import { Nothing } from '@/parts/Page';
import { HealthTag } from '@/parts/tags';
import { TimeText } from '@/parts/TimeText';
import { useSession } from '@/session';
import { useMonitorStatus } from './status';

/** Who contributes to a monitor, and what of its log could not be used. */
export function MonitorStatusCards({ name }: { name: string }) {
  const { t } = useTranslation();
  const { link } = useSession();
  const status = useMonitorStatus(name);
  if (status.error) return <div className="span-12"><Failure error={status.error} retry={() => void status.refetch()} /></div>;
  return (
    <>
      <Card size="small" className="span-6" title={t('monitor.agents')}>
        {status.data && (
          <div className="row" style={{ marginBottom: 8, gap: 16 }}>
            <span><span className="muted">{t('monitor.completeThrough')}</span> <TimeText value={status.data.completeThrough} absolute /></span>
            <span><span className="muted">{t('agent.files')}</span> {status.data.files}</span>
          </div>
        )}
        <Table
          size="small"
          rowKey="id"
          loading={status.isPending}
          dataSource={status.data?.agents}
          pagination={{ pageSize: 10, hideOnSinglePage: true }}
          scroll={{ x: 'max-content' }}
          locale={{ emptyText: <Nothing title={t('monitor.noAgents')} help={t('monitor.noAgentsHelp')} /> }}
          columns={[
            { title: t('agent.host'), key: 'host', render: (_, agent) => <Link to={link(`agents?id=${agent.id}`)}>{agent.hostname ?? agent.id}</Link> },
            { title: t('agent.health'), key: 'health', render: (_, agent) => (agent.health ? <HealthTag health={agent.health} /> : '–') },
            { title: t('monitor.through'), key: 'through', render: (_, agent) => <TimeText value={agent.through} /> },
          ]}
        />
      </Card>
      <Card size="small" className="span-6" title={t('monitor.faults')}>
        <Table
          size="small"
          rowKey="reason"
          loading={status.isPending}
          dataSource={status.data?.faults}
          pagination={false}
          locale={{ emptyText: <Nothing title={t('monitor.noFaults')} /> }}
          columns={[
            { title: t('monitor.reason'), key: 'reason', width: 140, render: (_, fault) => t(`fault.${fault.reason}`, { defaultValue: fault.reason }) },
            { title: t('monitor.lastHour'), key: 'lastHour', align: 'end', width: 90, render: (_, fault) => fault.lastHour },
            { title: t('monitor.example'), key: 'example', render: (_, fault) => <span className="mono" style={{ whiteSpace: 'pre-wrap', overflowWrap: 'anywhere' }}>{fault.example ?? '–'}</span> },
          ]}
        />
      </Card>
    </>
  );
}
