/** Shows a part of the console as a page of it: signed in, in a workspace, in a language. */

import { QueryClient, QueryClientProvider } from '@tanstack/react-query';
import { render } from '@testing-library/react';
import { App } from 'antd';
import i18next from 'i18next';
import type { ReactNode } from 'react';
import { initReactI18next } from 'react-i18next';
import { createMemoryRouter, RouterProvider } from 'react-router';
import type { Me } from '@/api/types';
import english from '@/i18n/en-US.json';
import chinese from '@/i18n/zh-CN.json';
import { SessionProvider } from '@/session';

const ADMIN: Me = { name: 'admin', displayName: 'Admin', platformAdmin: true, roles: {}, workspaces: ['default'] };

interface Options {
  /** Its address in the workspace, and the pattern of it with `:name` and the like. */
  at?: string;
  route?: string;
  language?: 'en-US' | 'zh-CN';
}

export function show(element: ReactNode, { at = 'page', route = at, language = 'en-US' }: Options = {}) {
  void i18next.use(initReactI18next).init({
    lng: language,
    resources: { 'en-US': { translation: english }, 'zh-CN': { translation: chinese } },
    fallbackLng: false,
    interpolation: { escapeValue: false },
    returnNull: false,
    initAsync: false,
  });
  const client = new QueryClient({ defaultOptions: { queries: { retry: false } } });
  const router = createMemoryRouter(
    [
      { path: `/w/:ws/${route}`, element: <SessionProvider me={ADMIN}><App>{element}</App></SessionProvider> },
      { path: '*', element: <div data-testid="elsewhere" /> },
    ],
    { initialEntries: [`/w/default/${at}`] },
  );
  const shown = render(<QueryClientProvider client={client}><RouterProvider router={router} /></QueryClientProvider>);
  return { ...shown, client, router };
}
