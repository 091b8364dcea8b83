import { PlusOutlined } from '@ant-design/icons';
import { Button, Card, Input, Segmented, Table, Tag, Tooltip } from 'antd';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { useSearchParams } from 'react-router';
import { HEALTHS, type AgentView } from '@/api/types';
import { useAgents } from '@/monitors/SampleSource';
import { Failure } from '@/parts/Failure';
import { bytes, duration } from '@/parts/format';
import { Nothing, Page } from '@/parts/Page';
import { HealthTag, KeyTags } from '@/parts/tags';
import { TimeText } from '@/parts/TimeText';
import { useSession } from '@/session';
import { AgentDrawer } from './AgentDrawer';
import { EnrolmentTokens } from './EnrolmentTokens';
import { InstallDialog } from './InstallDialog';

/** How many bad lines and files an agent has counted since it started. */
export const faultsOf = (agent: AgentView) => agent.monitors.reduce((sum, { faults }) => sum + Object.values(faults).reduce((a, b) => a + b, 0), 0);

export function Component() {
  const { t } = useTranslation();
  const { can } = useSession();
  const agents = useAgents();
  const [search, setSearch] = useSearchParams();
  const [text, setText] = useState('');
  const [health, setHealth] = useState('all');
  const [installing, setInstalling] = useState(false);
  const admin = can('admin');
  const all = agents.data ?? [];
  const open = all.find(({ id }) => id === search.get('id'));
  const shown = all.filter(
    (agent) =>
      (health === 'all' || agent.health === health) &&
      `${agent.facts.hostname} ${agent.facts.ip} ${agent.id} ${Object.entries(agent.facts.labels).map((pair) => pair.join('=')).join(' ')}`.toLowerCase().includes(text.trim().toLowerCase()),
  );
  const count = (one: string) => all.filter((agent) => agent.health === one).length;
  const install = <Button type="primary" icon={<PlusOutlined />} onClick={() => setInstalling(true)} data-testid="agent-install">{t('agent.install')}</Button>;

  return (
    <Page
      title={t('nav.agents')}
      actions={
        <>
          <Input.Search allowClear placeholder={t('action.search')} aria-label={t('action.search')} onChange={(event) => setText(event.target.value)} style={{ width: 220 }} />
          {admin && install}
        </>
      }
    >
      <div className="stack">
        {all.length > 0 && (
          <Segmented value={health} onChange={setHealth} style={{ alignSelf: 'start', maxWidth: '100%', overflowX: 'auto' }} options={[{ value: 'all', label: `${t('state.all')} ${all.length}` }, ...HEALTHS.map((value) => ({ value, label: `${t(`health.${value}`)} ${count(value)}` }))]} />
        )}
        {agents.error ? <Failure error={agents.error} retry={() => void agents.refetch()} /> : (
          <Card styles={{ body: { padding: 0 } }}>
            <Table
              rowKey="id"
              dataSource={shown}
              loading={agents.isPending}
              pagination={{ pageSize: 20, hideOnSinglePage: true }}
              scroll={{ x: 'max-content' }}
              locale={{ emptyText: agents.isPending ? ' ' : all.length > 0 ? <Nothing title={t('state.noMatch')} /> : <Nothing title={t('empty.agents')} help={t(admin ? 'empty.agentsHelp' : 'empty.agentsAskAdmin')}>{admin && install}</Nothing> }}
              columns={[
                {
                  title: t('agent.host'),
                  key: 'host',
                  render: (_, agent) => (
                    <>
                      <Button type="link" style={{ padding: 0, height: 'auto' }} onClick={() => setSearch({ id: agent.id })}>{agent.facts.hostname || agent.id}</Button>
                      <div className="muted">{agent.facts.ip}</div>
                    </>
                  ),
                },
                { title: t('agent.health'), key: 'health', render: (_, agent) => <><HealthTag health={agent.health} reasons={agent.reasons} />{agent.reasons[0] && <div className="muted" style={{ maxWidth: 260, whiteSpace: 'normal' }}>{agent.reasons[0]}</div>}</> },
                { title: t('agent.skew'), key: 'skew', align: 'end', render: (_, agent) => (agent.health === 'clock_skew' ? <Tag color="orange">{duration(agent.clockSkewMs)}</Tag> : duration(agent.clockSkewMs)) },
                { title: t('agent.version'), key: 'version', render: (_, agent) => agent.facts.version },
                { title: t('agent.config'), key: 'config', render: (_, agent) => <Config agent={agent} /> },
                { title: t('agent.faults'), key: 'faults', align: 'end', render: (_, agent) => (faultsOf(agent) > 0 ? <Tag color="red">{faultsOf(agent)}</Tag> : 0) },
                { title: t('agent.memory'), key: 'memory', align: 'end', responsive: ['lg'], render: (_, agent) => bytes(agent.process.residentBytes) },
                { title: t('form.labels'), key: 'labels', responsive: ['xxl'], render: (_, agent) => <KeyTags keys={agent.facts.labels} /> },
                { title: t('agent.lastSeen'), key: 'seen', render: (_, agent) => <TimeText value={agent.lastSeenAt} /> },
              ]}
            />
          </Card>
        )}
        {admin && <EnrolmentTokens />}
      </div>
      {open && <AgentDrawer agent={open} onClose={() => setSearch({})} />}
      {installing && <InstallDialog onClose={() => setInstalling(false)} />}
    </Page>
  );
}

export function Config({ agent }: { agent: AgentView }) {
  const { t } = useTranslation();
  const inForce = agent.configApplied === agent.configWanted;
  return (
    <Tooltip title={`${t('agent.applied')} ${agent.configApplied ?? '–'} · ${t('agent.wanted')} ${agent.configWanted}`}>
      <Tag color={inForce ? 'green' : 'blue'}>{t(inForce ? 'agent.inForce' : 'agent.pending')}</Tag>
    </Tooltip>
  );
}
