import { BgColorsOutlined, GlobalOutlined, KeyOutlined, LogoutOutlined, UserOutlined } from '@ant-design/icons';
import { App, Button, Dropdown, Form, Input, Modal } from 'antd';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { api } from '@/api/client';
import { isLanguage, LANGUAGES, setLanguage } from '@/i18n';
import { Failure } from '@/parts/Failure';
import { useSession, useSignOut } from '@/session';
import { THEMES, useAppearance } from './appearance';

export function AccountMenu() {
  const { t, i18n } = useTranslation();
  const { me, role } = useSession();
  const signOut = useSignOut();
  const { choice, choose } = useAppearance();
  const [changing, setChanging] = useState(false);

  return (
    <>
      <Dropdown
        trigger={['click']}
        menu={{
          selectable: true,
          selectedKeys: [i18n.language, choice],
          onClick: ({ key }) => {
            if (key === 'password') setChanging(true);
            else if (key === 'signOut') void signOut();
            else if (isLanguage(key)) void setLanguage(key);
            else {
              const theme = THEMES.find((one) => one === key);
              if (theme) choose(theme);
            }
          },
          items: [
            {
              key: 'who',
              type: 'group',
              label: `${me.displayName || me.name}${role ? ` · ${me.platformAdmin ? t('role.platformAdmin') : t(`role.${role}`)}` : ''}`,
            },
            { key: 'language', icon: <GlobalOutlined />, label: t('account.language'), children: Object.entries(LANGUAGES).map(([key, label]) => ({ key, label })) },
            { key: 'theme', icon: <BgColorsOutlined />, label: t('account.theme'), children: THEMES.map((key) => ({ key, label: t(`theme.${key}`) })) },
            { key: 'password', icon: <KeyOutlined />, label: t('account.changePassword') },
            { type: 'divider' },
            { key: 'signOut', icon: <LogoutOutlined />, label: <span data-testid="sign-out">{t('account.signOut')}</span> },
          ],
        }}
      >
        <Button type="text" icon={<UserOutlined />} aria-label={t('account.menu')} data-testid="account-menu">{me.name}</Button>
      </Dropdown>
      {changing && <PasswordDialog onClose={() => setChanging(false)} />}
    </>
  );
}

function PasswordDialog({ onClose }: { onClose: () => void }) {
  const { t } = useTranslation();
  const { message } = App.useApp();
  const [form] = Form.useForm<{ old: string; new: string }>();
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>();

  const submit = async (values: { old: string; new: string }) => {
    setBusy(true);
    setError(undefined);
    try {
      await api.post('/auth/password', { old: values.old, new: values.new });
      void message.success(t('account.passwordChanged'));
      onClose();
    } catch (failure) {
      setError(failure);
      setBusy(false);
    }
  };

  return (
    <Modal open title={t('account.changePassword')} okText={t('action.save')} onOk={() => form.submit()} onCancel={onClose} confirmLoading={busy}>
      {error !== undefined && <Failure error={error} />}
      <Form form={form} layout="vertical" onFinish={submit}>
        <Form.Item name="old" label={t('account.oldPassword')} rules={[{ required: true, message: t('form.required') }]}>
          <Input.Password autoComplete="current-password" autoFocus />
        </Form.Item>
        <Form.Item name="new" label={t('account.newPassword')} rules={[{ required: true, min: 8, message: t('account.passwordLength') }]}>
          <Input.Password autoComplete="new-password" />
        </Form.Item>
        <Form.Item
          name="again"
          label={t('account.newPasswordAgain')}
          dependencies={['new']}
          rules={[
            ({ getFieldValue }) => ({
              validator: (_, value) => (value === getFieldValue('new') ? Promise.resolve() : Promise.reject(new Error(t('account.passwordsDiffer')))),
            }),
          ]}
        >
          <Input.Password autoComplete="new-password" />
        </Form.Item>
      </Form>
    </Modal>
  );
}
