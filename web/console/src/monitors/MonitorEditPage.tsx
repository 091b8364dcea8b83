import { useQuery } from '@tanstack/react-query';
import { useParams, useSearchParams } from 'react-router';
import { api, resourcePath } from '@/api/client';
import type { MonitorSpec, Resource } from '@/api/types';
import { DocumentPage } from '@/documents/DocumentPage';
import { resourcesKey } from '@/documents/draft';
import { Failure } from '@/parts/Failure';
import { Loading } from '@/parts/Loading';
import { useSession } from '@/session';
import { MonitorForm } from './MonitorForm';
import { blankMonitor, copyOf } from './spec';

/** `new`, `new?copy=other`, or an existing monitor. */
export function Component() {
  const { workspace } = useSession();
  const { name } = useParams();
  const [search] = useSearchParams();
  const source = name ?? search.get('copy');
  const loaded = useQuery({
    queryKey: [...resourcesKey(workspace, 'monitors'), 'edit', source],
    queryFn: ({ signal }) => api.get<Resource<MonitorSpec>>(resourcePath(workspace, 'monitors', source ?? ''), { signal }),
    enabled: source !== null,
    staleTime: 0,
    gcTime: 0,
    refetchOnWindowFocus: false,
  });
  if (source !== null && loaded.error) return <div className="page"><Failure error={loaded.error} retry={() => void loaded.refetch()} /></div>;
  if (source !== null && !loaded.data) return <Loading />;
  const initial = !loaded.data ? blankMonitor(search.get('folder') ?? undefined) : name === undefined ? copyOf(loaded.data, [loaded.data.metadata.name]) : loaded.data;

  return (
    <DocumentPage
      key={`${name ?? 'new'}:${String(loaded.data?.metadata.uid)}`}
      plural="monitors"
      initial={initial}
      stored={name !== undefined}
      back={(saved) => (saved ? `monitors/${saved.metadata.name}` : name === undefined ? 'monitors' : `monitors/${name}`)}
    >
      <MonitorForm />
    </DocumentPage>
  );
}
