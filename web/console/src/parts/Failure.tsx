/** What went wrong, in full: the server's detail and each problem with its place. */

import { Alert, Button } from 'antd';
import { useTranslation } from 'react-i18next';
import { ApiError } from '@/api/client';

export function useFailureText() {
  const { t } = useTranslation();
  return (error: unknown): string => {
    if (error instanceof ApiError) {
      if (error.status === 0) return t('error.network');
      return error.message;
    }
    return error instanceof Error ? error.message : String(error);
  };
}

export function Failure({ error, hint, retry }: { error: unknown; hint?: string; retry?: () => void }) {
  const { t } = useTranslation();
  const text = useFailureText();
  const problems = error instanceof ApiError ? error.problems : [];
  return (
    <Alert
      type="error"
      showIcon
      role="alert"
      data-testid="failure"
      title={text(error)}
      description={
        problems.length > 0 ? (
          <ul style={{ margin: 0, paddingInlineStart: 18 }}>
            {problems.map((problem, index) => (
              <li key={index}>{problem.path && <code>{problem.path}</code>} {problem.message}</li>
            ))}
          </ul>
        ) : hint
      }
      action={retry && <Button size="small" onClick={retry}>{t('action.retry')}</Button>}
    />
  );
}
