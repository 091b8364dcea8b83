import { Select } from 'antd';
import { useTranslation } from 'react-i18next';
import type { AlertRuleSpec, KeyMatch } from '@/api/types';
import { useDocument } from '@/documents/draft';
import { Field } from '@/documents/fields';

type Mode = 'merged' | 'any' | 'in' | 'not_in';

function modeOf(match: KeyMatch | undefined): { mode: Mode; keys: string[] } {
  if (!match) return { mode: 'merged', keys: [] };
  if ('in' in match) return { mode: 'in', keys: match.in };
  if ('not_in' in match) return { mode: 'not_in', keys: match.not_in };
  return { mode: 'any', keys: [] };
}

/** For one column that the monitor groups by: merged, or judged key by key. */
export function WhereField({ column }: { column: string }) {
  const { t } = useTranslation();
  const draft = useDocument<AlertRuleSpec>();
  const where = draft.document.spec.where ?? {};
  const { mode, keys } = modeOf(where[column]);
  const write = (next: Mode, values: string[]) => {
    const others = Object.fromEntries(Object.entries(where).filter(([name]) => name !== column));
    const match: KeyMatch | undefined = next === 'merged' ? undefined : next === 'any' ? { any: true } : next === 'in' ? { in: values } : { not_in: values };
    const all = match ? { ...others, [column]: match } : others;
    draft.set('spec.where', Object.keys(all).length > 0 ? all : undefined);
  };
  return (
    <Field path={`spec.where.${column}`} label={column}>
      {({ id, disabled }) => (
        <div className="row" style={{ flexWrap: 'nowrap' }}>
          <Select<Mode> id={id} value={mode} disabled={disabled} options={(['merged', 'any', 'in', 'not_in'] as const).map((value) => ({ value, label: t(`where.${value}`) }))} onChange={(next) => write(next, keys)} style={{ width: 170, flex: 'none' }} />
          {(mode === 'in' || mode === 'not_in') && (
            <Select mode="tags" value={keys} disabled={disabled} open={false} suffix={null} tokenSeparators={[',']} placeholder={t('where.keys')} aria-label={t('where.keys')} onChange={(values) => write(mode, values)} style={{ flex: 1, minWidth: 0 }} />
          )}
        </div>
      )}
    </Field>
  );
}
