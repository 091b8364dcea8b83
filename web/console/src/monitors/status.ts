import { useQuery } from '@tanstack/react-query';
import { api, resourcePath } from '@/api/client';
import type { MonitorStatus } from '@/api/types';
import { useSession } from '@/session';

/** How a monitor's data is doing: its agents, and what could not be used. */
export function useMonitorStatus(name: string) {
  const { workspace } = useSession();
  return useQuery({
    queryKey: ['monitor-status', workspace, name],
    queryFn: ({ signal }) => api.get<MonitorStatus>(`${resourcePath(workspace, 'monitors', name)}/status`, { signal }),
    refetchInterval: 15_000,
  });
}
