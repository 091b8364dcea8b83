import { DeleteOutlined } from '@ant-design/icons';
import { useQueryClient } from '@tanstack/react-query';
import { Alert, Button, Descriptions, Drawer, Grid, Progress, Table, Tag } from 'antd';
import { useTranslation } from 'react-i18next';
import { Link } from 'react-router';
import { api, resourcePath } from '@/api/client';
import type { AgentView } from '@/api/types';
import { useDelete } from '@/documents/DeleteButton';
import { bytes, duration } from '@/parts/format';
import { Nothing } from '@/parts/Page';
import { HealthTag, KeyTags } from '@/parts/tags';
import { TimeText } from '@/parts/TimeText';
import { useSession } from '@/session';
import { Config } from './AgentsPage';

export function AgentDrawer({ agent, onClose }: { agent: AgentView; onClose: () => void }) {
  const { t } = useTranslation();
  const { workspace, link, can } = useSession();
  const client = useQueryClient();
  const ask = useDelete();
  const wide = Grid.useBreakpoint().md ?? true;
  const { facts, process } = agent;

  const remove = () =>
    ask(
      facts.hostname || agent.id,
      async () => {
        await api.delete(resourcePath(workspace, 'agents', agent.id));
        await client.invalidateQueries({ queryKey: ['agents', workspace] });
        onClose();
      },
      t('agent.deleteHelp'),
    );

  return (
    <Drawer open size={wide ? 760 : '100%'} title={<span className="row">{facts.hostname || agent.id}<HealthTag health={agent.health} /></span>} onClose={onClose} extra={can('admin') && <Button danger icon={<DeleteOutlined />} onClick={remove}>{t('action.delete')}</Button>}>
      <div className="stack">
        {agent.reasons.length > 0 && <Alert type="warning" showIcon title={agent.reasons.join('; ')} />}
        {process.paused && <Alert type="error" showIcon title={t('agent.paused')} />}
        <Descriptions
          size="small"
          bordered
          column={{ xs: 1, md: 2 }}
          items={[
            { key: 'id', label: 'ID', children: <span className="mono">{agent.id}</span> },
            { key: 'ip', label: 'IP', children: facts.ip },
            { key: 'version', label: t('agent.version'), children: `${facts.version} · ${facts.os} ${facts.arch}` },
            { key: 'zone', label: t('form.timezone'), children: facts.timezone || (facts.timezoneProblem ? t('agent.zoneUnknown', { problem: facts.timezoneProblem }) : '–') },
            { key: 'skew', label: t('agent.skew'), children: duration(agent.clockSkewMs) },
            { key: 'config', label: t('agent.config'), children: <Config agent={agent} /> },
            { key: 'seen', label: t('agent.lastSeen'), children: <TimeText value={agent.lastSeenAt} absolute /> },
            { key: 'enrolled', label: t('agent.enrolled'), children: <TimeText value={agent.enrolledAt} absolute /> },
            { key: 'memory', label: t('agent.memory'), children: bytes(process.residentBytes) },
            { key: 'cpu', label: t('agent.cpu'), children: duration(process.cpuMillis) },
            {
              key: 'journal',
              label: t('agent.journal'),
              children: (
                <>
                  {bytes(process.journalBytes)} / {bytes(process.journalLimitBytes)} · {t('agent.unacked', { count: process.unackedRecords })}
                  {process.journalLimitBytes > 0 && <Progress percent={Math.round((100 * process.journalBytes) / process.journalLimitBytes)} size="small" showInfo={false} />}
                </>
              ),
            },
            { key: 'labels', label: t('form.labels'), children: <KeyTags keys={facts.labels} /> },
          ]}
        />
        <Table
          size="small"
          title={() => <strong>{t('agent.monitors')}</strong>}
          rowKey="monitor"
          dataSource={agent.monitors}
          pagination={{ pageSize: 20, hideOnSinglePage: true }}
          scroll={{ x: 'max-content' }}
          locale={{ emptyText: <Nothing title={t('agent.noMonitors')} /> }}
          expandable={{
            rowExpandable: ({ faults }) => Object.keys(faults).length > 0,
            expandedRowRender: ({ faults, examples }) => (
              <ul style={{ margin: 0, whiteSpace: 'normal' }}>
                {Object.entries(faults).map(([reason, n]) => (
                  <li key={reason}>{t(`fault.${reason}`, { defaultValue: reason })}: {n} <span className="mono muted" style={{ overflowWrap: 'anywhere' }}>{examples[reason]}</span></li>
                ))}
              </ul>
            ),
          }}
          columns={[
            { title: t('kind.monitors'), key: 'monitor', render: (_, report) => <Link to={link(`monitors/${report.monitor}`)}>{report.monitor}</Link> },
            { title: t('agent.files'), key: 'files', align: 'end', render: (_, report) => (report.files === 0 ? <Tag color="orange">0</Tag> : report.files) },
            { title: t('agent.lines'), key: 'lines', align: 'end', render: (_, report) => report.lines },
            { title: t('agent.faults'), key: 'faults', align: 'end', render: (_, report) => Object.values(report.faults).reduce((a, b) => a + b, 0) },
            { title: t('monitor.through'), key: 'watermark', render: (_, report) => <TimeText value={report.watermark} /> },
          ]}
        />
      </div>
    </Drawer>
  );
}
