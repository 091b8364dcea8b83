import { useInfiniteQuery } from '@tanstack/react-query';
import { Button, Card, Select } from 'antd';
import { useTranslation } from 'react-i18next';
import { useSearchParams } from 'react-router';
import { api, resourcePath } from '@/api/client';
import { LEVELS, type Alert, type Page as PageOf } from '@/api/types';
import { useResourceOptions } from '@/documents/fields';
import { Failure } from '@/parts/Failure';
import { Page } from '@/parts/Page';
import { useSession } from '@/session';
import { AlertTable } from './AlertTable';

const SINCE: Record<string, number> = { '1h': 3_600_000, '24h': 86_400_000, '7d': 604_800_000 };

export function Component() {
  const { t } = useTranslation();
  const { workspace } = useSession();
  const [search, setSearch] = useSearchParams();
  const rules = useResourceOptions('alert-rules');
  const monitors = useResourceOptions('monitors');
  const filter = Object.fromEntries(['status', 'level', 'rule', 'monitor', 'since'].map((key) => [key, search.get(key) ?? undefined]));
  const alerts = useInfiniteQuery({
    queryKey: ['alerts', workspace, filter],
    initialPageParam: undefined as string | undefined,
    queryFn: ({ signal, pageParam }) => {
      const since = SINCE[filter['since'] ?? ''];
      return api.get<PageOf<Alert>>(resourcePath(workspace, 'alerts'), {
        signal,
        query: { ...filter, since: since === undefined ? undefined : new Date(Date.now() - since).toISOString(), limit: 50, cursor: pageParam },
      });
    },
    getNextPageParam: (page) => page.next ?? undefined,
    refetchInterval: 15_000,
  });
  const pickOf = (key: string, options: { value: string; label: React.ReactNode }[], label: string, width: number) => (
    <Select
      allowClear
      showSearch={{ optionFilterProp: 'value' }}
      value={filter[key]}
      options={options}
      placeholder={label}
      aria-label={label}
      style={{ width, maxWidth: '100%' }}
      onChange={(value: string | undefined) => {
        const next = new URLSearchParams(search);
        if (value) next.set(key, value);
        else next.delete(key);
        setSearch(next, { replace: true });
      }}
      data-testid={`filter-${key}`}
    />
  );

  return (
    <Page title={t('nav.alerts')}>
      <div className="row" style={{ marginBottom: 12 }}>
        {pickOf('status', ['firing', 'recovered', 'closed'].map((value) => ({ value, label: t(`alertStatus.${value}`) })), t('state.state'), 130)}
        {pickOf('level', LEVELS.map((value) => ({ value, label: `${value} ${t(`level.${value}`)}` })), t('rule.level'), 130)}
        {pickOf('rule', rules.data ?? [], t('kind.alert-rules'), 200)}
        {pickOf('monitor', monitors.data ?? [], t('kind.monitors'), 200)}
        {pickOf('since', Object.keys(SINCE).map((value) => ({ value, label: t(`range.${value}`) })), t('alert.since'), 140)}
      </div>
      {alerts.error ? <Failure error={alerts.error} retry={() => void alerts.refetch()} /> : (
        <Card styles={{ body: { padding: 0 } }}>
          <AlertTable alerts={alerts.data?.pages.flatMap(({ items }) => items) ?? []} loading={alerts.isPending} filtered={Object.values(filter).some(Boolean)} />
          {alerts.hasNextPage && <div style={{ padding: 12, textAlign: 'center' }}><Button loading={alerts.isFetchingNextPage} onClick={() => void alerts.fetchNextPage()}>{t('action.loadMore')}</Button></div>}
        </Card>
      )}
    </Page>
  );
}
