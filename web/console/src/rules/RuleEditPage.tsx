import { useQuery } from '@tanstack/react-query';
import { useParams, useSearchParams } from 'react-router';
import { api, resourcePath } from '@/api/client';
import type { AlertRuleSpec, Resource } from '@/api/types';
import { DocumentPage } from '@/documents/DocumentPage';
import { resourcesKey } from '@/documents/draft';
import { Failure } from '@/parts/Failure';
import { Loading } from '@/parts/Loading';
import { useSession } from '@/session';
import { RuleForm } from './RuleForm';

const blank = (monitor: string | null): Resource<AlertRuleSpec> => ({
  kind: 'AlertRule',
  metadata: { name: '' },
  spec: { monitor: monitor ?? '', level: 'P2', conditions: [], for: { times: 1 } },
});

export function Component() {
  const { workspace } = useSession();
  const { name } = useParams();
  const [search] = useSearchParams();
  const loaded = useQuery({
    queryKey: [...resourcesKey(workspace, 'alert-rules'), 'edit', name],
    queryFn: ({ signal }) => api.get<Resource<AlertRuleSpec>>(resourcePath(workspace, 'alert-rules', name ?? ''), { signal }),
    enabled: name !== undefined,
    staleTime: 0,
    gcTime: 0,
    refetchOnWindowFocus: false,
  });
  if (name !== undefined && loaded.error) return <div className="page"><Failure error={loaded.error} retry={() => void loaded.refetch()} /></div>;
  if (name !== undefined && !loaded.data) return <Loading />;
  return (
    <DocumentPage key={name ?? 'new'} plural="alert-rules" initial={loaded.data ?? blank(search.get('monitor'))} stored={name !== undefined} back={() => 'alert-rules'}>
      <RuleForm />
    </DocumentPage>
  );
}
