/** Talks to the server: one function per verb, and one kind of error. */

import type { Page, Problem, Resource } from './types';

/** What the server refused, and why: its problem document (RFC 9457). */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly title: string,
    readonly detail: string,
    readonly problems: Problem[],
  ) {
    super(detail || title);
  }
}

type Query = Record<string, string | number | boolean | undefined | null>;

export interface RequestOptions {
  query?: Query;
  headers?: Record<string, string>;
  signal?: AbortSignal;
}

/** `/workspaces/default/monitors?limit=5` under the API's root; what is undefined or null is left out. */
export function apiUrl(path: string, query: Query = {}): string {
  const search = new URLSearchParams();
  for (const [key, value] of Object.entries(query)) {
    if (value !== undefined && value !== null) search.append(key, String(value));
  }
  const text = search.toString();
  return `/api/v1${path}${text ? `?${text}` : ''}`;
}

async function send(method: string, path: string, body: unknown, options: RequestOptions): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(apiUrl(path, options.query), {
      method,
      credentials: 'same-origin',
      signal: options.signal ?? null,
      headers: {
        Accept: 'application/json',
        ...(method === 'GET' ? {} : { 'X-Nightjar-Csrf': '1' }),
        ...(body === undefined ? {} : { 'Content-Type': 'application/json' }),
        ...options.headers,
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  } catch (error) {
    if (error instanceof DOMException && error.name === 'AbortError') throw error;
    throw new ApiError(0, 'network', '', []);
  }
  if (!response.ok) throw await toError(response);
  return response;
}

async function toError(response: Response): Promise<ApiError> {
  const text = await response.text().catch(() => '');
  try {
    const problem = JSON.parse(text) as Partial<ApiError>;
    return new ApiError(response.status, problem.title ?? response.statusText, problem.detail ?? '', problem.problems ?? []);
  } catch {
    return new ApiError(response.status, response.statusText || `HTTP ${response.status}`, text.slice(0, 300), []);
  }
}

async function json<T>(response: Response): Promise<T> {
  const text = await response.text();
  return (text ? JSON.parse(text) : undefined) as T;
}

export const api = {
  get: async <T>(path: string, options: RequestOptions = {}) => json<T>(await send('GET', path, undefined, options)),
  text: async (path: string, options: RequestOptions = {}) => (await send('GET', path, undefined, options)).text(),
  post: async <T>(path: string, body?: unknown, options: RequestOptions = {}) => json<T>(await send('POST', path, body ?? {}, options)),
  put: async <T>(path: string, body: unknown, options: RequestOptions = {}) => json<T>(await send('PUT', path, body, options)),
  delete: async (path: string, options: RequestOptions = {}) => {
    await send('DELETE', path, undefined, options);
  },
};

/** The most pages that {@link listAll} follows. */
const MAX_PAGES = 20;

/** Every item of a collection, page after page. */
export async function listAll<T>(path: string, options: RequestOptions = {}): Promise<T[]> {
  const items: T[] = [];
  let cursor: string | null | undefined;
  for (let page = 0; page < MAX_PAGES; page += 1) {
    const answer = await api.get<Page<T>>(path, { ...options, query: { ...options.query, limit: 500, cursor } });
    items.push(...answer.items);
    cursor = answer.next;
    if (!cursor) break;
  }
  return items;
}

/** Writes a document over the version it was read at, or, without one, as new: it must not exist yet. */
export async function putResource<S>(
  workspace: string,
  plural: string,
  document: Resource<S>,
  version?: number | null,
): Promise<Resource<S>> {
  const headers: Record<string, string> =
    version === undefined || version === null ? { 'If-None-Match': '*' } : { 'If-Match': `"${version}"` };
  return api.put<Resource<S>>(resourcePath(workspace, plural, document.metadata.name), document, { headers });
}

export function resourcePath(workspace: string, plural: string, name?: string): string {
  const collection = `/workspaces/${encodeURIComponent(workspace)}/${plural}`;
  return name === undefined ? collection : `${collection}/${encodeURIComponent(name)}`;
}
