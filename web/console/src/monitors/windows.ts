import { useQuery } from '@tanstack/react-query';
import { api, resourcePath } from '@/api/client';
import type { Windows } from '@/api/types';
import { useSession } from '@/session';
import { stepFor } from './series';

/** A range of time that ends now (`span`), or between two fixed times. */
export type Range = { span: number } | { from: number; until: number };

/** The bounds in milliseconds, on whole steps so that a minute does not change while it is looked at. */
export function boundsOf(range: Range, now: number): { from: number; until: number; step: { ms: number; text: string } } {
  const length = 'span' in range ? range.span : range.until - range.from;
  const step = stepFor(length);
  const until = 'span' in range ? now : range.until;
  return { from: Math.floor((until - length) / step.ms) * step.ms, until: Math.ceil(until / step.ms) * step.ms, step };
}

interface WindowsQuery {
  monitor: string;
  range: Range;
  /** Columns to keep apart; `undefined` keeps all. */
  by?: string[];
  limit?: number;
}

export function useWindows({ monitor, range, by, limit = 20 }: WindowsQuery) {
  const { workspace } = useSession();
  return useQuery({
    queryKey: ['windows', workspace, monitor, range, by, limit],
    queryFn: async ({ signal }) => {
      const bounds = boundsOf(range, Date.now());
      const windows = await api.get<Windows>(`${resourcePath(workspace, 'monitors', monitor)}/windows`, {
        signal,
        query: { from: new Date(bounds.from).toISOString(), until: new Date(bounds.until).toISOString(), step: bounds.step.text, by: by?.join(','), limit },
      });
      return { windows, bounds };
    },
    refetchInterval: 'span' in range ? 15_000 : false,
    placeholderData: (before, query) => (query?.queryKey[2] === monitor ? before : undefined),
  });
}
