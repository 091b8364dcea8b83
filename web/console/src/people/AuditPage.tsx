import { useInfiniteQuery } from '@tanstack/react-query';
import { Button, Card, Segmented, Table, Tag } from 'antd';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { api, resourcePath } from '@/api/client';
import type { AuditEntry, Page as PageOf } from '@/api/types';
import { Diff } from '@/parts/Diff';
import { Failure } from '@/parts/Failure';
import { Nothing, Page } from '@/parts/Page';
import { TimeText } from '@/parts/TimeText';
import { useSession } from '@/session';

export function Component() {
  const { t } = useTranslation();
  const { me, workspace } = useSession();
  const [scope, setScope] = useState<'workspace' | 'platform'>('workspace');
  const entries = useInfiniteQuery({
    queryKey: ['audit', scope, workspace],
    initialPageParam: undefined as string | undefined,
    queryFn: ({ signal, pageParam }) => api.get<PageOf<AuditEntry>>(scope === 'platform' ? '/audit' : resourcePath(workspace, 'audit'), { signal, query: { limit: 50, cursor: pageParam } }),
    getNextPageParam: (page) => page.next ?? undefined,
  });

  return (
    <Page
      title={t('nav.audit')}
      actions={me.platformAdmin && <Segmented value={scope} onChange={setScope} options={[{ value: 'workspace', label: workspace }, { value: 'platform', label: t('audit.platform') }]} />}
    >
      {entries.error ? <Failure error={entries.error} retry={() => void entries.refetch()} /> : (
        <Card styles={{ body: { padding: 0 } }}>
          <Table
            rowKey="id"
            dataSource={entries.data?.pages.flatMap(({ items }) => items) ?? []}
            loading={entries.isPending}
            pagination={false}
            scroll={{ x: 'max-content' }}
            locale={{ emptyText: entries.isPending ? ' ' : <Nothing title={t('empty.audit')} /> }}
            expandable={{
              rowExpandable: ({ before, after }) => Boolean(before ?? after),
              expandedRowRender: (entry) => <Diff before={entry.before} after={entry.after} />,
            }}
            columns={[
              { title: t('form.time'), key: 'at', render: (_, entry) => <TimeText value={entry.at} absolute /> },
              { title: t('audit.actor'), key: 'actor', render: (_, entry) => entry.actor },
              { title: t('audit.action'), key: 'action', render: (_, entry) => <Tag>{t(`auditAction.${entry.action}`, { defaultValue: entry.action })}</Tag> },
              { title: t('audit.object'), key: 'object', render: (_, entry) => <>{entry.kind} <strong>{entry.name}</strong></> },
              ...(scope === 'platform' ? [{ title: t('session.workspace'), key: 'workspace', render: (_: unknown, entry: AuditEntry) => entry.workspace ?? '–' }] : []),
              { title: t('audit.address'), key: 'address', render: (_, entry) => entry.address ?? '–' },
            ]}
          />
          {entries.hasNextPage && <div style={{ padding: 12, textAlign: 'center' }}><Button loading={entries.isFetchingNextPage} onClick={() => void entries.fetchNextPage()}>{t('action.loadMore')}</Button></div>}
        </Card>
      )}
    </Page>
  );
}
