/** The frame of every page: the menu, the workspace, the account. */

import {
  AlertOutlined, ApiOutlined, BellOutlined, ClusterOutlined, CodeOutlined, DashboardOutlined,
  LineChartOutlined, MenuOutlined, NotificationOutlined, SettingOutlined,
} from '@ant-design/icons';
import { Button, Drawer, Grid, Layout, Menu, Select, theme, type MenuProps } from 'antd';
import { Suspense, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { Link, Outlet, useLocation } from 'react-router';
import { SessionProvider, useMe, useSession, useSwitchWorkspace, type Session } from '@/session';
import { AccountMenu } from './AccountMenu';

const ADMINISTRATION = ['users', 'tokens', 'audit'];
const RECEIVERS = ['subscriptions', 'contact-groups', 'contacts', 'dingtalk-robots', 'webhooks', 'email-servers'];

function menuItems(t: (key: string) => string, session: Session): MenuProps['items'] {
  const page = (key: string, icon?: React.ReactNode) => ({
    key,
    icon,
    label: <Link to={session.link(key)} data-testid={`nav-${key}`}>{t(`nav.${key}`)}</Link>,
  });
  const administration = [
    ...(session.me.platformAdmin ? [page('users'), page('tokens')] : []),
    ...(session.can('admin') ? [page('audit')] : []),
  ];
  return [
    page('overview', <DashboardOutlined />),
    page('monitors', <LineChartOutlined />),
    page('alerts', <AlertOutlined />),
    page('alert-rules', <BellOutlined />),
    { key: 'receivers', icon: <NotificationOutlined />, label: t('nav.receivers'), children: RECEIVERS.map((key) => page(key)) },
    page('agents', <ClusterOutlined />),
    page('sql', <CodeOutlined />),
    ...(administration.length > 0
      ? [{ key: 'administration', icon: <SettingOutlined />, label: t('nav.administration'), children: administration }]
      : []),
    { key: 'docs', icon: <ApiOutlined />, label: <a href="/docs" target="_blank" rel="noreferrer">{t('nav.docs')}</a> },
  ];
}

function Navigation({ onNavigate }: { onNavigate?: () => void }) {
  const { t } = useTranslation();
  const session = useSession();
  const section = useLocation().pathname.split('/')[3] ?? 'overview';
  const open = RECEIVERS.includes(section) ? ['receivers'] : ADMINISTRATION.includes(section) ? ['administration'] : [];
  return (
    <nav aria-label={t('nav.main')}>
      <Menu
        mode="inline"
        items={menuItems(t, session)}
        selectedKeys={[section]}
        defaultOpenKeys={open}
        onClick={onNavigate}
        style={{ borderInlineEnd: 'none' }}
      />
    </nav>
  );
}

function Brand({ small = false }: { small?: boolean }) {
  const session = useSession();
  return (
    <Link to={session.link('overview')} aria-label="Nightjar" style={{ color: 'inherit', fontWeight: 600, fontSize: 17, display: 'flex', alignItems: 'center', gap: 8, flex: 'none' }}>
      <img src="/favicon.svg" width={28} height={28} alt="" />
      {!small && 'Nightjar'}
    </Link>
  );
}

/** A workspace's pages, for somebody who is signed in. */
export function Component() {
  const me = useMe().data;
  if (!me) return null;
  return (
    <SessionProvider me={me}>
      <Frame />
    </SessionProvider>
  );
}

function Frame() {
  const { t } = useTranslation();
  const session = useSession();
  const switchWorkspace = useSwitchWorkspace();
  const wide = Grid.useBreakpoint().lg ?? window.innerWidth >= 992;
  const [open, setOpen] = useState(false);
  const { token } = theme.useToken();
  const workspaces = session.me.workspaces.includes(session.workspace)
    ? session.me.workspaces
    : [...session.me.workspaces, session.workspace];

  return (
    <Layout style={{ minHeight: '100vh' }}>
      <a className="skip-link" href="#content">{t('nav.skip')}</a>
      {wide && (
        <Layout.Sider
          width={216}
          style={{ background: token.colorBgContainer, borderInlineEnd: `1px solid ${token.colorBorderSecondary}`, position: 'sticky', top: 0, height: '100vh', overflow: 'auto' }}
        >
          <div style={{ padding: '16px 20px' }}><Brand /></div>
          <Navigation />
        </Layout.Sider>
      )}
      <Layout>
        <Layout.Header
          style={{ background: token.colorBgContainer, borderBlockEnd: `1px solid ${token.colorBorderSecondary}`, padding: '0 16px', height: 52, lineHeight: '52px', display: 'flex', alignItems: 'center', gap: 12, position: 'sticky', top: 0, zIndex: 20 }}
        >
          {!wide && <Button type="text" icon={<MenuOutlined />} aria-label={t('nav.open')} onClick={() => setOpen(true)} data-testid="nav-open" />}
          {!wide && <Brand small />}
          <span style={{ flex: 1 }} />
          {workspaces.length > 1 && (
            <Select
              value={session.workspace}
              onChange={switchWorkspace}
              options={workspaces.map((value) => ({ value, label: value }))}
              aria-label={t('session.workspace')}
              style={{ minWidth: 120, maxWidth: 200 }}
              showSearch
            />
          )}
          <AccountMenu />
        </Layout.Header>
        <main id="content" tabIndex={-1} style={{ outline: 'none', minWidth: 0 }}>
          <Suspense><Outlet /></Suspense>
        </main>
      </Layout>
      {!wide && (
        <Drawer open={open} onClose={() => setOpen(false)} placement="left" size={260} title={<Brand />} styles={{ body: { padding: 0 } }}>
          <Navigation onNavigate={() => setOpen(false)} />
        </Drawer>
      )}
    </Layout>
  );
}
