import { Alert, Button, Card, Form, Input } from 'antd';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { Navigate, useLocation } from 'react-router';
import { ApiError } from '@/api/client';
import { Failure } from '@/parts/Failure';
import { useMe, useSignIn } from '@/session';
import { LanguageSwitch } from './LanguageSwitch';

export function Component() {
  const { t } = useTranslation();
  const me = useMe();
  const signIn = useSignIn();
  const location = useLocation();
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>();

  if (me.data) {
    const from = (location.state as { from?: string } | null)?.from;
    return <Navigate to={from ?? '/'} replace />;
  }

  const submit = async ({ name, password }: { name: string; password: string }) => {
    setBusy(true);
    setError(undefined);
    try {
      await signIn(name, password);
    } catch (failure) {
      setError(failure);
    } finally {
      setBusy(false);
    }
  };

  return (
    <main style={{ boxSizing: 'border-box', minHeight: '100vh', display: 'grid', placeItems: 'center', padding: 16 }}>
      <Card style={{ width: '100%', maxWidth: 380 }}>
        <div className="row" style={{ marginBottom: 20 }}>
          <img src="/favicon.svg" width={36} height={36} alt="" />
          <h1 style={{ margin: 0, fontSize: 22 }}>Nightjar</h1>
          <span style={{ marginInlineStart: 'auto' }}><LanguageSwitch /></span>
        </div>
        {error instanceof ApiError && error.status === 401 ? (
          <Alert type="error" showIcon title={t('session.wrongPassword')} style={{ marginBottom: 16 }} role="alert" data-testid="login-error" />
        ) : error !== undefined ? (
          <div style={{ marginBottom: 16 }}><Failure error={error} /></div>
        ) : null}
        <Form layout="vertical" onFinish={submit} requiredMark={false}>
          <Form.Item name="name" label={t('session.userName')} rules={[{ required: true, message: t('form.required') }]}>
            <Input autoFocus autoComplete="username" size="large" data-testid="login-name" />
          </Form.Item>
          <Form.Item name="password" label={t('session.password')} rules={[{ required: true, message: t('form.required') }]}>
            <Input.Password autoComplete="current-password" size="large" data-testid="login-password" />
          </Form.Item>
          <Button type="primary" htmlType="submit" size="large" block loading={busy} data-testid="login-submit">
            {t('session.signIn')}
          </Button>
        </Form>
      </Card>
    </main>
  );
}
