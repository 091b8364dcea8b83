import { useTranslation } from 'react-i18next';
import { around, diffValues } from './diff';

const SIGNS = { same: ' ', removed: '−', added: '+', gap: ' ' };
const CLASSES = { same: undefined, removed: 'diff-removed', added: 'diff-added', gap: 'muted' };

/** Two values as YAML, with what goes and what comes; with `context`, only that many lines around each change. */
export function Diff({ before, after, context }: { before: unknown; after: unknown; context?: number }) {
  const { t } = useTranslation();
  const lines = diffValues(before, after);
  return (
    <pre className="block mono" aria-label={t('audit.diff')}>
      {(context === undefined ? lines : around(lines, context)).map(({ kind, text }, index) => (
        <div key={index} className={CLASSES[kind]}>{SIGNS[kind]} {text}</div>
      ))}
    </pre>
  );
}
