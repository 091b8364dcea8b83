import { DeleteOutlined, EditOutlined, PlusOutlined } from '@ant-design/icons';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { App, Button, Card, Form, Input, Modal, Switch, Table } from 'antd';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { api, listAll } from '@/api/client';
import type { Role, User } from '@/api/types';
import { useDelete } from '@/documents/DeleteButton';
import { Failure } from '@/parts/Failure';
import { Page } from '@/parts/Page';
import { EnabledTag } from '@/parts/tags';
import { TimeText } from '@/parts/TimeText';
import { useSession } from '@/session';
import { RolesInput, RolesText } from './RolesInput';

export function Component() {
  const { t } = useTranslation();
  const { me } = useSession();
  const client = useQueryClient();
  const ask = useDelete();
  const [editing, setEditing] = useState<User | 'new'>();
  const users = useQuery({ queryKey: ['users'], queryFn: ({ signal }) => listAll<User>('/users', { signal }) });

  return (
    <Page title={t('nav.users')} actions={<Button type="primary" icon={<PlusOutlined />} onClick={() => setEditing('new')}>{t('action.create')}</Button>}>
      {users.error ? <Failure error={users.error} retry={() => void users.refetch()} /> : (
        <Card styles={{ body: { padding: 0 } }}>
          <Table
            rowKey="name"
            dataSource={users.data}
            loading={users.isPending}
            pagination={{ pageSize: 20, hideOnSinglePage: true }}
            scroll={{ x: 'max-content' }}
            columns={[
              { title: t('session.userName'), key: 'name', render: (_, user) => <><strong>{user.name}</strong>{user.displayName && <div className="muted">{user.displayName}</div>}</> },
              { title: t('role.role'), key: 'roles', render: (_, user) => <RolesText roles={user.roles} platformAdmin={user.platformAdmin} /> },
              { title: t('state.state'), key: 'state', render: (_, user) => <EnabledTag enabled={!user.disabled} /> },
              { title: t('user.lastLogin'), key: 'login', render: (_, user) => <TimeText value={user.lastLoginAt} /> },
              { title: t('user.created'), key: 'created', responsive: ['lg'], render: (_, user) => <TimeText value={user.createdAt} /> },
              {
                key: 'actions',
                align: 'end',
                render: (_, user) => (
                  <span className="row" style={{ justifyContent: 'flex-end', flexWrap: 'nowrap' }}>
                    <Button size="small" icon={<EditOutlined />} aria-label={t('action.edit')} onClick={() => setEditing(user)} />
                    <Button
                      size="small"
                      danger
                      disabled={user.name === me.name}
                      icon={<DeleteOutlined />}
                      aria-label={t('action.delete')}
                      onClick={() =>
                        ask(user.name, async () => {
                          await api.delete(`/users/${encodeURIComponent(user.name)}`);
                          await client.invalidateQueries({ queryKey: ['users'] });
                        })
                      }
                    />
                  </span>
                ),
              },
            ]}
          />
        </Card>
      )}
      {editing && <UserDialog user={editing === 'new' ? undefined : editing} onClose={() => setEditing(undefined)} />}
    </Page>
  );
}

interface UserValues {
  name: string;
  displayName?: string;
  password?: string;
  platformAdmin?: boolean;
  disabled?: boolean;
  roles?: Record<string, Role>;
}

function UserDialog({ user, onClose }: { user: User | undefined; onClose: () => void }) {
  const { t } = useTranslation();
  const client = useQueryClient();
  const { message } = App.useApp();
  const [form] = Form.useForm<UserValues>();
  const platformAdmin = Form.useWatch('platformAdmin', form);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>();

  const save = async ({ name, password, ...change }: UserValues) => {
    setBusy(true);
    setError(undefined);
    try {
      await api.put(`/users/${encodeURIComponent(name)}`, { ...change, displayName: change.displayName ?? '', ...(password ? { password } : {}) });
      await client.invalidateQueries({ queryKey: ['users'] });
      void message.success(t('state.saved'));
      onClose();
    } catch (failure) {
      setError(failure);
      setBusy(false);
    }
  };

  return (
    <Modal open title={user ? user.name : t('user.create')} okText={t('action.save')} confirmLoading={busy} onOk={() => form.submit()} onCancel={onClose}>
      {error !== undefined && <Failure error={error} />}
      <Form<UserValues> form={form} layout="vertical" onFinish={save} initialValues={user ?? { platformAdmin: false, disabled: false, roles: {} }}>
        <Form.Item name="name" label={t('session.userName')} rules={[{ required: true, message: t('form.required') }]}><Input disabled={user !== undefined} autoComplete="off" /></Form.Item>
        <Form.Item name="displayName" label={t('form.displayName')}><Input /></Form.Item>
        <Form.Item name="password" label={t(user ? 'user.newPassword' : 'session.password')} extra={user ? t('user.newPasswordHelp') : undefined} rules={[{ required: !user, min: 8, message: t('account.passwordLength') }]}>
          <Input.Password autoComplete="new-password" />
        </Form.Item>
        <Form.Item name="platformAdmin" label={t('role.platformAdmin')} valuePropName="checked"><Switch /></Form.Item>
        {!platformAdmin && <Form.Item name="roles" label={t('role.role')}><RolesInput /></Form.Item>}
        <Form.Item name="disabled" label={t('user.disabled')} valuePropName="checked"><Switch /></Form.Item>
      </Form>
    </Modal>
  );
}
