import { PlusOutlined } from '@ant-design/icons';
import { useQueryClient } from '@tanstack/react-query';
import { App, Button, Card, Input, Switch, Table } from 'antd';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { Link } from 'react-router';
import { putResource } from '@/api/client';
import type { AlertRuleSpec, Resource } from '@/api/types';
import { DeleteButton } from '@/documents/DeleteButton';
import { resourcesKey } from '@/documents/draft';
import { setIn } from '@/documents/path';
import { matchesText, useResources } from '@/documents/ResourcePage';
import { authored } from '@/documents/yaml';
import { DocumentLink } from '@/parts/DocumentLink';
import { Failure } from '@/parts/Failure';
import { Nothing, Page } from '@/parts/Page';
import { LevelTag } from '@/parts/tags';
import { useSession } from '@/session';
import { conditionText } from './spans';

export function Component() {
  const { t } = useTranslation();
  const { can, link } = useSession();
  const rules = useResources<AlertRuleSpec>('alert-rules');
  const [text, setText] = useState('');
  const editor = can('editor');
  const create = <Link to={link('alert-rules/new')}><Button type="primary" icon={<PlusOutlined />} data-testid="rule-create">{t('rule.create')}</Button></Link>;

  return (
    <Page
      title={t('nav.alert-rules')}
      actions={
        <>
          <Input.Search allowClear placeholder={t('action.search')} aria-label={t('action.search')} onChange={(event) => setText(event.target.value)} style={{ width: 220 }} />
          {editor && create}
        </>
      }
    >
      {rules.error ? <Failure error={rules.error} retry={() => void rules.refetch()} /> : (
        <Card styles={{ body: { padding: 0 } }}>
          <Table
            rowKey={({ metadata }) => metadata.name}
            dataSource={(rules.data ?? []).filter((rule) => matchesText(rule, text))}
            loading={rules.isPending}
            pagination={{ pageSize: 20, hideOnSinglePage: true }}
            scroll={{ x: 'max-content' }}
            locale={{ emptyText: rules.isPending ? ' ' : <Nothing title={t(text ? 'state.noMatch' : 'empty.alert-rules')} help={text ? undefined : t('empty.alert-rulesHelp')}>{editor && !text && create}</Nothing> }}
            columns={[
              { title: t('rule.level'), key: 'level', width: 80, render: (_, { spec }) => <LevelTag level={spec.level ?? 'P2'} /> },
              {
                title: t('form.name'),
                key: 'name',
                render: (_, { metadata }) => (
                  <>
                    <Link to={link(`alert-rules/${metadata.name}`)}>{metadata.displayName || metadata.name}</Link>
                    {metadata.displayName && <div className="muted">{metadata.name}</div>}
                  </>
                ),
              },
              { title: t('kind.monitors'), key: 'monitor', render: (_, { spec }) => <DocumentLink plural="monitors" name={spec.monitor} /> },
              { title: t('rule.conditions'), key: 'conditions', render: (_, { spec }) => <span className="mono">{spec.conditions.map(conditionText).join(spec.match === 'any' ? ` ${t('rule.or')} ` : ` ${t('rule.and')} `)}</span> },
              { title: t('form.folder'), key: 'folder', responsive: ['xl'], render: (_, { metadata }) => metadata.folder || <span className="muted">–</span> },
              { title: t('state.enabled'), key: 'enabled', render: (_, rule) => <Toggle rule={rule} /> },
              ...(editor ? [{ key: 'actions', align: 'end' as const, render: (_: unknown, { metadata }: Resource<AlertRuleSpec>) => <DeleteButton size="small" plural="alert-rules" name={metadata.name} /> }] : []),
            ]}
          />
        </Card>
      )}
    </Page>
  );
}

function Toggle({ rule }: { rule: Resource<AlertRuleSpec> }) {
  const { t } = useTranslation();
  const { workspace, can } = useSession();
  const client = useQueryClient();
  const { modal } = App.useApp();
  const [busy, setBusy] = useState(false);
  return (
    <Switch
      size="small"
      checked={rule.spec.enabled !== false}
      disabled={!can('editor')}
      loading={busy}
      aria-label={t('state.enabledOf', { name: rule.metadata.name })}
      onChange={async (enabled) => {
        setBusy(true);
        try {
          await putResource(workspace, 'alert-rules', setIn(authored(rule), 'spec.enabled', enabled), rule.metadata.version);
        } catch (error) {
          modal.error({ title: t('state.notSaved'), content: <Failure error={error} />, width: 560 });
        }
        await client.invalidateQueries({ queryKey: resourcesKey(workspace, 'alert-rules') });
        setBusy(false);
      }}
    />
  );
}
