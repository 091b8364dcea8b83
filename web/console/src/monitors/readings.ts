import { useQuery } from '@tanstack/react-query';
import { listAll, resourcePath } from '@/api/client';
import type { Reading } from '@/api/types';
import { useSession } from '@/session';

/** What every monitor of the workspace read in the last ten minutes, by name. */
export function useReadings() {
  const { workspace } = useSession();
  return useQuery({
    queryKey: ['readings', workspace],
    queryFn: async ({ signal }) => {
      const items = await listAll<Reading>(resourcePath(workspace, 'readings'), { signal });
      return new Map(items.map((reading) => [reading.monitor, reading]));
    },
    refetchInterval: 15_000,
  });
}
