/** A document being edited: its state, what the server said of it, and how it is saved. */

import { useQueryClient } from '@tanstack/react-query';
import { createContext, use, useCallback, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { ApiError, putResource } from '@/api/client';
import type { Problem, Resource } from '@/api/types';
import { useSession } from '@/session';
import { misfits, renamedTo } from './identity';
import { setIn, withoutProblemsAt } from './path';
import { authored } from './yaml';

export interface Draft<S = unknown> {
  document: Resource<S>;
  creating: boolean;
  readOnly: boolean;
  dirty: boolean;
  saving: boolean;
  /** What the server said of the last attempt to save; problems vanish as their places are changed. */
  problems: Problem[];
  error: unknown;
  set: (path: string, value: unknown) => void;
  replace: (document: Resource<S>) => void;
  /** Shows these problems at their fields, as after trying the document out. */
  report: (problems: Problem[]) => void;
  /** The name a stored document was given instead of its own, as YAML allows: it can only be saved as a copy. */
  renamed: string | undefined;
  /**
   * The stored document, or nothing when it was refused; then `error` and `problems` say why. A copy is
   * written as a new document beside the one that was opened, and over none.
   */
  save: (as?: 'itself' | 'copy') => Promise<Resource<S> | undefined>;
}

/** Query key of a kind's documents; whatever is listed of a kind starts with it. */
export const resourcesKey = (workspace: string, plural: string) => ['resources', workspace, plural] as const;

/** `stored` is absent for a new document, which starts as `initial`. */
export function useDraft<S>(plural: string, initial: Resource<S>, stored: boolean): Draft<S> {
  const { t } = useTranslation();
  const client = useQueryClient();
  const { workspace, can } = useSession();
  const [document, setDocument] = useState<Resource<S>>(() => authored(initial));
  const [dirty, setDirty] = useState(false);
  const [saving, setSaving] = useState(false);
  const [problems, setProblems] = useState<Problem[]>([]);
  const [error, setError] = useState<unknown>();

  const set = useCallback((path: string, value: unknown) => {
    setDocument((before) => setIn(before, path, value));
    setProblems((before) => withoutProblemsAt(before, path));
    setDirty(true);
  }, []);

  const replace = useCallback((next: Resource<S>) => {
    setDocument(next);
    setDirty(true);
  }, []);

  const renamed = stored ? renamedTo(document, initial.metadata.name) : undefined;

  const save: Draft<S>['save'] = async (as = 'itself') => {
    const found = misfits(document, { kind: initial.kind, workspace }).map(({ path, text, values }): Problem => ({ path, message: t(text, values) }));
    if (found.length === 0 && as === 'itself' && renamed !== undefined) found.push({ path: 'metadata.name', message: t('identity.nameStays', { name: initial.metadata.name }) });
    setProblems(found);
    setError(found.length > 0 ? new ApiError(422, t('state.notSaved'), '', found) : undefined);
    if (found.length > 0) return undefined;
    setSaving(true);
    try {
      const saved = await putResource(workspace, plural, document, stored && as === 'itself' ? initial.metadata.version : undefined);
      setDirty(false);
      await client.invalidateQueries({ queryKey: resourcesKey(workspace, plural) });
      return saved;
    } catch (failure) {
      setError(failure);
      if (failure instanceof ApiError) setProblems(failure.problems);
      return undefined;
    } finally {
      setSaving(false);
    }
  };

  return { document, creating: !stored, readOnly: !can('editor'), dirty, saving, problems, error, set, replace, report: setProblems, renamed, save };
}

const DraftContext = createContext<Draft | null>(null);

export const DraftProvider = DraftContext;

export function useDocument<S = unknown>(): Draft<S> {
  const draft = use(DraftContext);
  if (!draft) throw new Error('a field outside a document');
  return draft as unknown as Draft<S>;
}
