import { QueryCache, QueryClient, QueryClientProvider } from '@tanstack/react-query';
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { RouterProvider } from 'react-router';
import { ApiError } from '@/api/client';
import { startLanguage } from '@/i18n';
import { router } from '@/routes';
import { AppearanceProvider } from '@/shell/appearance';
import './style.css';

const client: QueryClient = new QueryClient({
  queryCache: new QueryCache({
    // A session that ended elsewhere: ask again who is signed in, which shows the sign-in page.
    onError: (error) => {
      if (error instanceof ApiError && error.status === 401) client.setQueryData(['me'], null);
    },
  }),
  defaultOptions: {
    queries: {
      staleTime: 10_000,
      retry: (failures, error) => failures < 2 && !(error instanceof ApiError && error.status >= 400 && error.status < 500),
    },
  },
});

async function start() {
  await startLanguage();
  const root = document.getElementById('root');
  if (!root) throw new Error('the page has no #root');
  createRoot(root).render(
    <StrictMode>
      <QueryClientProvider client={client}>
        <AppearanceProvider>
          <RouterProvider router={router} />
        </AppearanceProvider>
      </QueryClientProvider>
    </StrictMode>,
  );
}

void start();
