/**
 * What a document is known by: kind, workspace, name. It never changes once it is stored, and YAML lets one
 * type another. Saved as it stands, that would be written over whichever document has that name.
 */

import type { Resource } from '@/api/types';

/** As the server has it: `[a-z0-9-]`, from a letter or digit to one. */
const NAME = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;

export type Misfit =
  | { path: 'kind'; text: 'identity.kind'; values: { kind: string } }
  | { path: 'metadata.workspace'; text: 'identity.workspace'; values: { workspace: string } }
  | { path: 'metadata.name'; text: 'form.required' | 'form.nameRule'; values: Record<string, never> };

export interface Identity {
  kind: string;
  workspace: string;
}

/** Why a document cannot be saved as one of this kind in this workspace, by place. */
export function misfits(document: Resource<unknown>, { kind, workspace }: Identity): Misfit[] {
  const found: Misfit[] = [];
  if (document.kind !== kind) found.push({ path: 'kind', text: 'identity.kind', values: { kind } });
  const { name, workspace: written } = document.metadata as { name?: unknown; workspace?: unknown };
  if (written !== undefined && written !== null && written !== workspace) found.push({ path: 'metadata.workspace', text: 'identity.workspace', values: { workspace } });
  if (name === undefined || name === null || name === '') found.push({ path: 'metadata.name', text: 'form.required', values: {} });
  else if (typeof name !== 'string' || !NAME.test(name)) found.push({ path: 'metadata.name', text: 'form.nameRule', values: {} });
  return found;
}

/** The name that a stored document was given instead of its own, if it was. */
export function renamedTo(document: Resource<unknown>, stored: string): string | undefined {
  const { name } = document.metadata as { name?: unknown };
  if (name === stored) return undefined;
  return typeof name === 'string' || typeof name === 'number' ? String(name) : '';
}
