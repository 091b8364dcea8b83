/** What the monitor makes of real lines, before it is saved: each line's verdict, and the figures. */

import { ExperimentOutlined } from '@ant-design/icons';
import { useMutation } from '@tanstack/react-query';
import { Alert, Button, Space, Table, Tag } from 'antd';
import { useTranslation } from 'react-i18next';
import { api, ApiError, resourcePath } from '@/api/client';
import type { AgentView, MonitorSpec, TrialReport } from '@/api/types';
import { useDocument } from '@/documents/draft';
import { absoluteTime, figure } from '@/parts/format';
import { Failure } from '@/parts/Failure';
import { Nothing } from '@/parts/Page';
import { useSession } from '@/session';

interface Props {
  spec: MonitorSpec;
  lines: string[];
  agent: string | undefined;
  agents: AgentView[];
  onReport: (report: TrialReport) => void;
}

export function Trial({ spec, lines, agent, agents, onReport }: Props) {
  const { t } = useTranslation();
  const draft = useDocument<MonitorSpec>();
  const { workspace } = useSession();
  const host = agents.find(({ id }) => id === agent)?.facts.hostname;
  const trial = useMutation({
    mutationFn: (on: { lines: string[] } | { agent: string }) => {
      // A monitor that is only being tried may lack what the lines do not need.
      const paths = spec.source.log.paths.length > 0 ? spec.source.log.paths : [{ path: '/sample.log' }];
      return api.post<TrialReport>(resourcePath(workspace, 'try-monitor'), { spec: { ...spec, source: { log: { ...spec.source.log, paths } } }, ...on });
    },
    onSuccess: (report) => {
      draft.report(asSpecProblems(report.problems));
      onReport(report);
    },
    onError: (error) => {
      if (error instanceof ApiError) draft.report(asSpecProblems(error.problems));
    },
  });

  return (
    <div className="stack" style={{ gap: 12 }}>
      <Space wrap>
        <Button type="primary" ghost icon={<ExperimentOutlined />} disabled={lines.length === 0} loading={trial.isPending} onClick={() => trial.mutate({ lines })} data-testid="try-lines">
          {t('trial.onLines', { count: lines.length })}
        </Button>
        <Button disabled={!agent} loading={trial.isPending} onClick={() => agent && trial.mutate({ agent })} data-testid="try-agent">{host ? t('trial.onHost', { host }) : t('trial.onAgent')}</Button>
      </Space>
      {lines.length === 0 && !trial.data && <div className="muted">{t('trial.needLines')}</div>}
      {trial.error && <Failure error={trial.error} />}
      {trial.data && <Report report={trial.data} spec={spec} />}
    </div>
  );
}

/** Paths of a trial may be said from the spec; fields are known from the document. */
const asSpecProblems = (problems: readonly { path: string; message: string }[]) =>
  problems.map(({ path, message }) => ({ message, path: path === '' || path === 'spec' || path.startsWith('spec.') ? path : `spec.${path}` }));

function Report({ report, spec }: { report: TrialReport; spec: MonitorSpec }) {
  const { t, i18n } = useTranslation();
  const counted = report.lines.filter((line) => line.counted).length;
  const names = (spec.columns ?? []).map(({ name }) => name);
  const keys = [...new Set(report.rows.flatMap((row) => row.keys.map(([key]) => key)))];
  const stats = [...new Set(report.rows.flatMap((row) => row.stats.map(([stat]) => stat)))];
  const time = (value: string) => absoluteTime(Date.parse(value), i18n.language);

  return (
    <div className="stack" data-testid="trial-report">
      <div className="row">
        <Tag color={counted > 0 ? 'green' : 'orange'} data-testid="trial-counted">{t('trial.counted', { n: counted, of: report.lines.length })}</Tag>
        {Object.entries(report.faults).map(([reason, n]) => <Tag color="red" key={reason}>{t(`fault.${reason}`, { defaultValue: reason })}: {n}</Tag>)}
      </div>
      {report.problems.length > 0 && <Alert type="warning" title={t('trial.problems')} description={report.problems.map(({ path, message }) => <div key={path}><code>{path}</code> {message}</div>)} />}
      <Table
        size="small"
        title={() => <strong>{t('trial.rows')}</strong>}
        rowKey={(row) => JSON.stringify([row.time, row.keys])}
        dataSource={report.rows}
        pagination={{ pageSize: 10, hideOnSinglePage: true }}
        scroll={{ x: 'max-content' }}
        data-testid="trial-rows"
        locale={{ emptyText: <Nothing title={t('trial.noRows')} help={t('trial.noRowsHelp')} /> }}
        columns={[
          { title: t('form.time'), key: 'time', render: (_, row) => time(row.time) },
          ...keys.map((key) => ({ title: key, key, render: (_: unknown, row: TrialReport['rows'][number]) => row.keys.find(([one]) => one === key)?.[1] })),
          ...stats.map((stat) => ({ title: stat, key: stat, align: 'end' as const, render: (_: unknown, row: TrialReport['rows'][number]) => figure(row.stats.find(([one]) => one === stat)?.[1], i18n.language) })),
        ]}
      />
      <Table
        size="small"
        title={() => <strong>{t('trial.lines')}</strong>}
        rowKey={(line) => report.lines.indexOf(line)}
        dataSource={report.lines}
        pagination={{ pageSize: 10, hideOnSinglePage: true }}
        scroll={{ x: 'max-content' }}
        data-testid="trial-lines"
        columns={[
          {
            title: t('trial.verdict'),
            key: 'verdict',
            fixed: 'left',
            render: (_, line) => (
              <>
                <Tag color={line.counted ? (line.reason ? 'orange' : 'green') : line.reason === 'filtered' ? 'default' : 'red'}>
                  {line.reason ? t(`fault.${line.reason}`, { defaultValue: line.reason }) : t(line.counted ? 'trial.counts' : 'trial.dropped')}
                </Tag>
                {line.unread && <div className="muted" style={{ whiteSpace: 'normal', maxWidth: 240 }} data-testid="trial-unread">{t(`unread.${line.unread}`, { defaultValue: line.unread })}</div>}
              </>
            ),
          },
          { title: t('form.time'), key: 'time', render: (_, line) => (line.time ? time(line.time) : '–') },
          { title: t('monitor.timeFormat'), key: 'timeFormat', render: (_, line) => (line.timeFormat ? t(`timeFormat.${line.timeFormat}`, { defaultValue: line.timeFormat }) : '–') },
          ...names.map((name) => ({ title: name, key: name, render: (_: unknown, line: TrialReport['lines'][number]) => line.columns[name] ?? <span className="muted">–</span> })),
          { title: t('trial.line'), key: 'text', render: (_, line) => <span className="mono" style={{ whiteSpace: 'pre' }}>{line.text.length > 300 ? `${line.text.slice(0, 300)}…` : line.text}</span> },
        ]}
      />
    </div>
  );
}
