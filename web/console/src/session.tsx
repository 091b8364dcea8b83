/** Who is signed in, which workspace they look at, and what they may do there. */

import { useQuery, useQueryClient } from '@tanstack/react-query';
import { createContext, use, useCallback, useMemo, type ReactNode } from 'react';
import { useNavigate, useParams } from 'react-router';
import { api, ApiError } from '@/api/client';
import { ROLES, type Me, type Role } from '@/api/types';

const ME = ['me'] as const;
const LAST_WORKSPACE = 'nightjar.workspace';

/** `undefined` while it is not known, `null` when nobody is signed in. */
export function useMe() {
  return useQuery({
    queryKey: ME,
    queryFn: async (): Promise<Me | null> => {
      try {
        return await api.get<Me>('/auth/me');
      } catch (error) {
        if (error instanceof ApiError && error.status === 401) return null;
        throw error;
      }
    },
    staleTime: 60_000,
  });
}

export function useSignIn() {
  const client = useQueryClient();
  return useCallback(
    async (name: string, password: string) => {
      const me = await api.post<Me>('/auth/login', { name, password });
      client.clear();
      client.setQueryData(ME, me);
    },
    [client],
  );
}

export function useSignOut() {
  const client = useQueryClient();
  return useCallback(async () => {
    try {
      await api.post('/auth/logout');
    } finally {
      client.clear();
      client.setQueryData(ME, null);
    }
  }, [client]);
}

/** Whether `held` allows what needs `needed`. */
export function roleAllows(held: Role | undefined, needed: Role): boolean {
  return held !== undefined && ROLES.indexOf(held) >= ROLES.indexOf(needed);
}

export interface Session {
  me: Me;
  workspace: string;
  role: Role | undefined;
  can: (needed: Role) => boolean;
  /** The console's address of a page of this workspace. */
  link: (path: string) => string;
}

const SessionContext = createContext<Session | null>(null);

export function SessionProvider({ me, children }: { me: Me; children: ReactNode }) {
  const { ws = '' } = useParams();
  const value = useMemo<Session>(() => {
    const role = me.platformAdmin ? 'admin' : me.roles[ws];
    return { me, workspace: ws, role, can: (needed) => roleAllows(role, needed), link: (path) => workspaceLink(ws, path) };
  }, [me, ws]);
  return <SessionContext value={value}>{children}</SessionContext>;
}

export function useSession(): Session {
  const session = use(SessionContext);
  if (!session) throw new Error('useSession outside SessionProvider');
  return session;
}

export function workspaceLink(workspace: string, path: string): string {
  return `/w/${encodeURIComponent(workspace)}/${path.replace(/^\//, '')}`;
}

/** Where somebody who names no workspace lands: the one they left, else the first they may see. */
export function landingWorkspace(me: Me): string | undefined {
  const last = localStorage.getItem(LAST_WORKSPACE);
  if (last && me.workspaces.includes(last)) return last;
  return me.workspaces[0];
}

export function useSwitchWorkspace() {
  const navigate = useNavigate();
  return useCallback(
    (workspace: string) => {
      localStorage.setItem(LAST_WORKSPACE, workspace);
      void navigate(workspaceLink(workspace, 'overview'));
    },
    [navigate],
  );
}
