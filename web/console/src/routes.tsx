/** The addresses of the console. Each page is fetched when it is first opened. */

import { Button, Result } from 'antd';
import { useTranslation } from 'react-i18next';
import { createBrowserRouter, Navigate, Outlet, useLocation, useParams, useRouteError, type RouteObject } from 'react-router';
import { landingWorkspace, useMe, workspaceLink } from '@/session';
import { Failure } from '@/parts/Failure';
import { Loading } from '@/parts/Loading';

function SignedIn() {
  const me = useMe();
  const location = useLocation();
  if (me.isPending) return <Loading />;
  if (me.error) return <div className="page"><Failure error={me.error} retry={() => void me.refetch()} /></div>;
  if (me.data === null) return <Navigate to="/login" replace state={{ from: location.pathname + location.search }} />;
  return <Outlet context={me.data} />;
}

/** An address without a workspace, such as one in a message: opened in the workspace last looked at. */
function Landing() {
  const { t } = useTranslation();
  const me = useMe().data;
  const rest = useParams()['*'] ?? '';
  if (!me) return null;
  const workspace = landingWorkspace(me);
  if (workspace === undefined) return <Result status="403" title={t('session.noWorkspace')} subTitle={t('session.noWorkspaceHelp')} />;
  return <Navigate to={workspaceLink(workspace, rest || 'overview')} replace />;
}

function NotFound() {
  const { t } = useTranslation();
  return <Result status="404" title={t('state.noPage')} extra={<Button type="primary" href="/">{t('action.home')}</Button>} />;
}

function Broken() {
  const { t } = useTranslation();
  const error = useRouteError();
  return (
    <Result
      status="error"
      title={t('state.broken')}
      subTitle={error instanceof Error ? error.message : String(error)}
      extra={<Button type="primary" onClick={() => window.location.reload()}>{t('action.reload')}</Button>}
    />
  );
}

const pages: RouteObject[] = [
  { index: true, element: <Navigate to="overview" replace /> },
  { path: 'overview', lazy: () => import('@/overview/OverviewPage') },
  { path: 'monitors', lazy: () => import('@/monitors/MonitorsPage') },
  { path: 'monitors/new', lazy: () => import('@/monitors/MonitorEditPage') },
  { path: 'monitors/:name', lazy: () => import('@/monitors/MonitorPage') },
  { path: 'monitors/:name/edit', lazy: () => import('@/monitors/MonitorEditPage') },
  { path: 'alert-rules', lazy: () => import('@/rules/RulesPage') },
  { path: 'alert-rules/new', lazy: () => import('@/rules/RuleEditPage') },
  { path: 'alert-rules/:name', lazy: () => import('@/rules/RuleEditPage') },
  { path: 'alerts', lazy: () => import('@/alerts/AlertsPage') },
  { path: 'alerts/:id', lazy: () => import('@/alerts/AlertPage') },
  ...['contacts', 'contact-groups', 'dingtalk-robots', 'webhooks', 'email-servers', 'subscriptions'].map((plural): RouteObject => ({
    path: plural,
    lazy: async () => {
      const { ReceiversPage } = await import('@/receivers/ReceiversPage');
      return { element: <ReceiversPage key={plural} plural={plural} /> };
    },
  })),
  { path: 'agents', lazy: () => import('@/agents/AgentsPage') },
  { path: 'sql', lazy: () => import('@/sql/SqlPage') },
  { path: 'users', lazy: () => import('@/people/UsersPage') },
  { path: 'tokens', lazy: () => import('@/people/TokensPage') },
  { path: 'audit', lazy: () => import('@/people/AuditPage') },
  { path: '*', element: <NotFound /> },
];

export const router = createBrowserRouter([
  { path: '/login', lazy: () => import('@/shell/LoginPage'), errorElement: <Broken />, hydrateFallbackElement: <Loading /> },
  {
    element: <SignedIn />,
    errorElement: <Broken />,
    hydrateFallbackElement: <Loading />,
    children: [
      { path: '/w/:ws', lazy: () => import('@/shell/Shell'), children: pages },
      { path: '*', element: <Landing /> },
    ],
  },
]);
