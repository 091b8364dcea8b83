import { useQuery } from '@tanstack/react-query';
import { api, resourcePath } from '@/api/client';
import type { Windows } from '@/api/types';
import { marksOf } from '@/chart/completeness';
import { useSession } from '@/session';
import { hasBegun, stepFor, type Step } from './figures';

/** A range of time that ends now (`span`), or between two fixed times. */
export type Range = { span: number } | { from: number; until: number };

export interface Bounds {
  from: number;
  until: number;
  step: Step;
}

/** The bounds in milliseconds, on whole steps so that a minute does not change while it is looked at. */
export function boundsOf(range: Range, now: number, widthMs?: number): Bounds {
  const length = 'span' in range ? range.span : range.until - range.from;
  const step = stepFor(length, widthMs);
  const until = 'span' in range ? now : range.until;
  return { from: Math.floor((until - length) / step.ms) * step.ms, until: Math.ceil(until / step.ms) * step.ms, step };
}

/** Ranges up to this, of seconds, are watched live. */
const LIVE_MS = 900_000;

interface WindowsQuery {
  monitor: string;
  range: Range;
  /** Columns to keep apart; `undefined` keeps all. */
  by?: string[];
  limit?: number;
  /** Length of the windows that are stored; or the least that is wanted. */
  widthMs?: number;
}

export function useWindows({ monitor, range, by, limit = 20, widthMs = 60_000 }: WindowsQuery) {
  const { workspace } = useSession();
  return useQuery({
    queryKey: ['windows', workspace, monitor, range, by, limit, widthMs],
    queryFn: async ({ signal }) => {
      const bounds = boundsOf(range, Date.now(), widthMs);
      const windows = await api.get<Windows>(`${resourcePath(workspace, 'monitors', monitor)}/windows`, {
        signal,
        query: { from: new Date(bounds.from).toISOString(), until: new Date(bounds.until).toISOString(), step: bounds.step.text, by: by?.join(','), limit },
      });
      return { windows, bounds };
    },
    refetchInterval: ({ state }) => {
      if (!('span' in range)) return false;
      const { data } = state;
      // Seconds are watched as they come.
      if (data && data.bounds.step.ms < 60_000 && range.span <= LIVE_MS) return 2000;
      // A monitor that has just begun is looked after more closely.
      return data && !hasBegun(marksOf(data.windows.completeness)) ? 3000 : 15_000;
    },
    placeholderData: (before, query) => (query?.queryKey[2] === monitor ? before : undefined),
  });
}
