import { DeleteOutlined, PlusOutlined } from '@ant-design/icons';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { Alert, Button, Card, Form, Input, Modal, Select, Switch, Table } from 'antd';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { api, listAll } from '@/api/client';
import type { ApiToken, Role } from '@/api/types';
import { useDelete } from '@/documents/DeleteButton';
import { CopyButton } from '@/parts/CopyButton';
import { Failure } from '@/parts/Failure';
import { Nothing, Page } from '@/parts/Page';
import { TimeText } from '@/parts/TimeText';
import { OwnerText } from './OwnerText';
import { RolesInput, RolesText } from './RolesInput';

const DAY = 86_400_000;
const LIVES: Record<string, number | null> = { '30d': 30 * DAY, '90d': 90 * DAY, '365d': 365 * DAY, never: null };

export function Component() {
  const { t } = useTranslation();
  const client = useQueryClient();
  const ask = useDelete();
  const [creating, setCreating] = useState(false);
  const tokens = useQuery({ queryKey: ['tokens'], queryFn: ({ signal }) => listAll<ApiToken>('/tokens', { signal }) });
  const create = <Button type="primary" icon={<PlusOutlined />} onClick={() => setCreating(true)}>{t('action.create')}</Button>;

  return (
    <Page title={t('nav.tokens')} actions={create}>
      {tokens.error ? <Failure error={tokens.error} retry={() => void tokens.refetch()} /> : (
        <Card styles={{ body: { padding: 0 } }}>
          <Table
            rowKey="id"
            dataSource={tokens.data}
            loading={tokens.isPending}
            pagination={{ pageSize: 20, hideOnSinglePage: true }}
            scroll={{ x: 'max-content' }}
            locale={{ emptyText: tokens.isPending ? ' ' : <Nothing title={t('empty.tokens')} help={t('empty.tokensHelp')}>{create}</Nothing> }}
            columns={[
              { title: t('form.name'), key: 'name', render: (_, token) => <strong>{token.name}</strong> },
              { title: t('role.role'), key: 'roles', render: (_, token) => <RolesText roles={token.roles} platformAdmin={token.platformAdmin} /> },
              { title: t('token.expires'), key: 'expires', render: (_, token) => (token.expiresAt ? <TimeText value={token.expiresAt} /> : t('life.never')) },
              { title: t('token.lastUsed'), key: 'used', render: (_, token) => <TimeText value={token.lastUsedAt} /> },
              { title: t('token.owner'), key: 'owner', render: (_, token) => <OwnerText owner={token.owner} /> },
              { title: t('token.createdBy'), key: 'by', responsive: ['lg'], render: (_, token) => token.createdBy },
              {
                key: 'actions',
                align: 'end',
                render: (_, token) => (
                  <Button
                    size="small"
                    danger
                    icon={<DeleteOutlined />}
                    aria-label={t('action.delete')}
                    onClick={() =>
                      ask(token.name, async () => {
                        await api.delete(`/tokens/${encodeURIComponent(token.id)}`);
                        await client.invalidateQueries({ queryKey: ['tokens'] });
                      })
                    }
                  />
                ),
              },
            ]}
          />
        </Card>
      )}
      {creating && <TokenDialog onClose={() => setCreating(false)} />}
    </Page>
  );
}

interface TokenValues {
  name: string;
  platformAdmin: boolean;
  roles?: Record<string, Role>;
  life: string;
}

function TokenDialog({ onClose }: { onClose: () => void }) {
  const { t } = useTranslation();
  const client = useQueryClient();
  const [form] = Form.useForm<TokenValues>();
  const platformAdmin = Form.useWatch('platformAdmin', form);
  const [made, setMade] = useState<string>();
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>();

  const save = async ({ name, platformAdmin: all, roles, life }: TokenValues) => {
    setBusy(true);
    setError(undefined);
    const length = LIVES[life];
    try {
      const answer = await api.post<ApiToken & { token: string }>('/tokens', {
        name,
        platformAdmin: all,
        roles: all ? {} : (roles ?? {}),
        expiresAt: length === null || length === undefined ? null : new Date(Date.now() + length).toISOString(),
      });
      setMade(answer.token);
      await client.invalidateQueries({ queryKey: ['tokens'] });
    } catch (failure) {
      setError(failure);
    } finally {
      setBusy(false);
    }
  };

  return (
    <Modal open title={t('token.create')} footer={made ? <Button type="primary" onClick={onClose}>{t('action.close')}</Button> : undefined} okText={t('action.create')} confirmLoading={busy} onOk={() => form.submit()} onCancel={onClose}>
      {error !== undefined && <Failure error={error} />}
      {made ? (
        <div className="stack" style={{ gap: 12 }}>
          <Alert type="warning" showIcon title={t('token.once')} />
          <pre className="block mono">{made}</pre>
          <CopyButton text={made} />
        </div>
      ) : (
        <Form<TokenValues> form={form} layout="vertical" onFinish={save} initialValues={{ platformAdmin: false, life: '90d', roles: {} }}>
          <Form.Item name="name" label={t('form.name')} rules={[{ required: true, message: t('form.required') }]}><Input autoFocus /></Form.Item>
          <Form.Item name="life" label={t('token.life')}><Select options={Object.keys(LIVES).map((value) => ({ value, label: t(`life.${value}`) }))} /></Form.Item>
          <Form.Item name="platformAdmin" label={t('role.platformAdmin')} valuePropName="checked"><Switch /></Form.Item>
          {!platformAdmin && <Form.Item name="roles" label={t('role.role')}><RolesInput /></Form.Item>}
        </Form>
      )}
    </Modal>
  );
}
