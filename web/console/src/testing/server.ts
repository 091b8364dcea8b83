/** A server for component tests: what it answers by route, and what it was sent. */

import { vi } from 'vitest';

export interface Sent {
  method: string;
  /** Below the API's root. */
  path: string;
  query: URLSearchParams;
  headers: Headers;
  body: unknown;
}

/** A value is answered as JSON; a `Refusal` with its status. */
export type Route = (sent: Sent) => unknown;

export class Refusal {
  constructor(
    readonly status: number,
    readonly detail: string,
    readonly problems: { path: string; message: string }[] = [],
  ) {}
}

/** Serves `METHOD /path` for the length of a test; anything else is not found. Answers the list of what is sent. */
export function serve(routes: Record<string, Route>): Sent[] {
  const sent: Sent[] = [];
  vi.stubGlobal('fetch', (address: string, init: RequestInit = {}) => {
    const url = new URL(address, 'http://test');
    const method = init.method ?? 'GET';
    const path = decodeURIComponent(url.pathname.replace(/^\/api\/v1/, ''));
    const request: Sent = { method, path, query: url.searchParams, headers: new Headers(init.headers), body: typeof init.body === 'string' ? JSON.parse(init.body) : undefined };
    sent.push(request);
    const route = routes[`${method} ${path}`];
    const answer = route ? route(request) : new Refusal(404, `There is nothing at ${path}.`);
    const refused = answer instanceof Refusal;
    const body = refused ? { title: 'refused', status: answer.status, detail: answer.detail, problems: answer.problems } : answer;
    return Promise.resolve(new Response(JSON.stringify(body), { status: refused ? answer.status : 200 }));
  });
  return sent;
}
