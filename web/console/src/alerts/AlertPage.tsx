/** One alert, and everything that came of it: why somebody was told, or was not. */

import { useInfiniteQuery, useQuery } from '@tanstack/react-query';
import { Button, Card, Collapse, Descriptions, Table, Tag, Timeline } from 'antd';
import { useTranslation } from 'react-i18next';
import { Link, useParams } from 'react-router';
import { api, resourcePath } from '@/api/client';
import type { AlertDetail, AlertEvent, Notification, Page as PageOf } from '@/api/types';
import { DocumentLink } from '@/parts/DocumentLink';
import { Failure } from '@/parts/Failure';
import { duration, figure, withTimes } from '@/parts/format';
import { Loading } from '@/parts/Loading';
import { Nothing, Page } from '@/parts/Page';
import { AlertStatusTag, KeyTags, LevelTag, NotificationStatusTag } from '@/parts/tags';
import { TimeText, useNow } from '@/parts/TimeText';
import { useSession } from '@/session';
import { changeOf, outcomeColour, verdict } from './verdict';

/** Of built-in rules: one alert for each agent, which its keys name. */
const ALERTS_OF_AGENTS = ['_agent-lost', '_agent-unwell'];

export function Component() {
  const { t, i18n } = useTranslation();
  const { workspace, link } = useSession();
  const { id = '' } = useParams();
  const now = useNow();
  const query = useQuery({
    queryKey: ['alert', workspace, id],
    queryFn: ({ signal }) => api.get<AlertDetail>(resourcePath(workspace, 'alerts', id), { signal }),
    refetchInterval: 10_000,
  });
  const earlier = useEarlierEvents(id, query.data?.earlier);
  if (query.error) return <div className="page"><Failure error={query.error} retry={() => void query.refetch()} /></div>;
  if (!query.data) return <Loading />;
  const { alert, notifications } = query.data;
  const events = [...earlier.events, ...query.data.events];
  const told = verdict(events, notifications);
  const stopped = told.values['stage'];
  const agent = ALERTS_OF_AGENTS.includes(alert.rule) ? alert.keys['agent'] : undefined;
  const end = alert.endedAt ? Date.parse(alert.endedAt) : now;

  return (
    <Page title={alert.ruleTitle || alert.rule} extra={<><LevelTag level={alert.level} /><AlertStatusTag status={alert.status} /></>}>
      <div className="grid">
        <Card size="small" className="span-12">
          <Descriptions
            size="small"
            column={{ xs: 1, sm: 2, lg: 3 }}
            items={[
              { key: 'summary', label: t('alert.summary'), span: 'filled', children: <span className="mono">{alert.summary}</span> },
              { key: 'keys', label: t('alert.keys'), children: <KeyTags keys={alert.keys} /> },
              { key: 'rule', label: t('kind.alert-rules'), children: <DocumentLink plural="alert-rules" name={alert.rule} /> },
              { key: 'monitor', label: t('kind.monitors'), children: <DocumentLink plural="monitors" name={alert.monitor} /> },
              ...(agent ? [{ key: 'agent', label: t('alert.agent'), children: <Link to={link(`agents?id=${agent}`)}>{alert.keys['host'] ?? agent}</Link> }] : []),
              { key: 'started', label: t('alert.started'), children: <TimeText value={alert.startedAt} absolute /> },
              { key: 'ended', label: t('alert.ended'), children: <TimeText value={alert.endedAt} absolute /> },
              { key: 'lasted', label: t('alert.lasted'), children: duration(end - Date.parse(alert.startedAt)) },
              { key: 'values', label: t('alert.values'), span: 'filled', children: <span className="row" style={{ gap: 4 }}>{Object.entries(alert.values).map(([name, value]) => <Tag key={name}>{name} = {figure(value, i18n.language)}</Tag>)}</span> },
            ]}
          />
        </Card>
<Card size="small" className="span-6" title={t('alert.why')} extra={<Tag color={told.colour} data-testid="alert-verdict">{t(`verdict.${told.key}`, { ...told.values, stage: stopped && t(`stage.${stopped}`, { defaultValue: stopped }) })}</Tag>}>
          {earlier.more && <Button size="small" loading={earlier.loading} onClick={earlier.load} style={{ marginBottom: 16 }}>{t('alert.earlier')}</Button>}
          {events.length === 0 ? <Nothing title={t('alert.noEvents')} /> : (
            <Timeline
              data-testid="alert-timeline"
              items={events.map((event, index) => ({ key: index, color: outcomeColour(event.outcome), content: <Event event={event} notification={notifications.find((one) => one.id === event.notification)} /> }))}
            />
          )}
        </Card>
        <Card size="small" className="span-6" title={t('alert.notifications')} styles={{ body: { padding: notifications.length > 0 ? 0 : undefined } }}>
          {notifications.length === 0 ? (
            <Nothing title={t('alert.nobody')} help={<>{t('alert.nobodyHelp')} <Link to={link('subscriptions')}>{t('nav.subscriptions')}</Link></>} />
          ) : (
            <Table
              size="small"
              rowKey="id"
              dataSource={notifications}
              pagination={false}
              scroll={{ x: 460 }}
              expandable={{ expandedRowRender: (notification) => <NotificationDetail notification={notification} /> }}
              columns={[
                { title: t('alert.receiver'), key: 'receiver', render: (_, one) => <span style={{ overflowWrap: 'anywhere' }}>{t(`channel.${one.channel}`)} <strong>{one.receiver}</strong></span> },
                { title: t('alert.change'), key: 'change', render: (_, one) => <Change notification={one} /> },
                { title: t('state.state'), key: 'status', render: (_, one) => <NotificationStatusTag status={one.status} /> },
                { title: t('alert.attempts'), key: 'attempts', align: 'end', render: (_, one) => one.attempts },
                { title: t('alert.sent'), key: 'sent', render: (_, one) => <TimeText value={one.sentAt} /> },
              ]}
            />
          )}
        </Card>
      </div>
    </Page>
  );
}

/** What happened before the events that come with the alert; asked for page by page, shown oldest first. */
function useEarlierEvents(id: string, cursor: string | null | undefined) {
  const { workspace } = useSession();
  const pages = useInfiniteQuery({
    // With the cursor: when newer events push the first page's along, these follow.
    queryKey: ['alert-events', workspace, id, cursor],
    enabled: false,
    initialPageParam: cursor,
    queryFn: ({ signal, pageParam }) => api.get<PageOf<AlertEvent>>(`${resourcePath(workspace, 'alerts', id)}/events`, { signal, query: { cursor: pageParam, limit: 500 } }),
    getNextPageParam: (page) => page.next ?? undefined,
  });
  return {
    events: (pages.data?.pages ?? []).flatMap(({ items }) => items).reverse(),
    more: pages.data ? pages.hasNextPage : Boolean(cursor),
    loading: pages.isFetching,
    load: () => void pages.fetchNextPage(),
  };
}

function Event({ event, notification }: { event: AlertEvent; notification: Notification | undefined }) {
  const { t, i18n } = useTranslation();
  return (
    <div>
      <div className="row" style={{ gap: 6 }}>
        <strong>{t(`stage.${event.stage}`, { defaultValue: event.stage })}</strong>
        <Tag color={outcomeColour(event.outcome)}>{t(`outcome.${event.outcome}`, { defaultValue: event.outcome })}</Tag>
        {notification && <span>{t(`channel.${notification.channel}`)} {notification.receiver}</span>}
        <span className="muted"><TimeText value={event.at} absolute /></span>
      </div>
      <div style={{ overflowWrap: 'anywhere', whiteSpace: 'pre-wrap' }}>{withTimes(event.reason, i18n.language)}</div>
    </div>
  );
}

/** What the message tells of. */
function Change({ notification }: { notification: Notification }) {
  const change = changeOf(notification);
  return change ? <AlertStatusTag status={change} /> : <>–</>;
}

function NotificationDetail({ notification }: { notification: Notification }) {
  const { t, i18n } = useTranslation();
  const { payload, lastAnswer, status } = notification;
  // Until it is settled these are the server's own words; then the provider's, which stay as they are.
  const answer = lastAnswer && status === 'pending' ? withTimes(lastAnswer, i18n.language) : (lastAnswer ?? '–');
  return (
    <div className="stack" style={{ gap: 8, maxWidth: 640, overflowWrap: 'anywhere', whiteSpace: 'normal' }}>
      <div>{t('alert.answer')}</div>
      <pre className="block mono">{answer}</pre>
      {status === 'pending' && <div>{t('alert.nextAttempt')} <TimeText value={notification.nextAttemptAt} /></div>}
      <Collapse ghost size="small" items={[{ key: 'payload', label: t('alert.payload'), children: <pre className="block mono">{typeof payload === 'string' ? payload : JSON.stringify(payload, null, 2)}</pre> }]} />
    </div>
  );
}
