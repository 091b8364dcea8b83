import { DeleteOutlined, PlusOutlined } from '@ant-design/icons';
import { Button, Form, InputNumber, Select } from 'antd';
import { useTranslation } from 'react-i18next';
import { OPS, type Condition, type MonitorSpec } from '@/api/types';
import { useDocument } from '@/documents/draft';
import { fieldId, type FieldProps } from '@/documents/fields';
import { getIn, problemsAt } from '@/documents/path';
import { spanMinutes, takeFrom, takeOf, TAKES, takesOf, type TakeType } from './spans';

/** Comparisons of the monitor's statistics with thresholds. */
export function ConditionsField({ path, label, help, required, monitor }: FieldProps & { monitor: MonitorSpec | undefined }) {
  const { t } = useTranslation();
  const draft = useDocument();
  const stats = (monitor?.stats ?? []).map(({ name }) => name);
  const takes = (field: string | undefined) => takesOf(monitor?.type, monitor?.stats?.find(({ name }) => name === field)?.fn);
  // The one of a minute; of seconds the highest.
  const first = () => (takes(stats[0]).includes('now') ? takeFrom('now', '') : takeFrom('max', '1m'));
  const conditions = (getIn(draft.document, path) ?? []) as Condition[];
  const own = problemsAt(draft.problems, path).filter((problem) => problem.path === path);
  const change = (next: Condition[]) => draft.set(path, next.length > 0 ? next : undefined);
  const alter = (index: number, part: Partial<Condition>) => {
    const condition = conditions[index];
    if (condition) change(conditions.with(index, { ...condition, ...part }));
  };

  return (
    <Form.Item label={label} required={required} extra={help} validateStatus={own.length > 0 ? 'error' : undefined} help={own.length > 0 ? own.map(({ message }) => message).join('; ') : undefined} style={{ marginBottom: 16 }}>
      <div id={fieldId(path)} role="group" style={{ display: 'grid', gap: 6 }}>
        {conditions.map((condition, index) => {
          const { type, span } = takeOf(condition.take);
          const problems = problemsAt(draft.problems, `${path}[${index}]`);
          const status = problems.length > 0 ? 'error' : '';
          return (
            <div key={index}>
              <div className="row" data-testid={`${path}[${index}]`}>
                <Select<TakeType>
                  value={type}
                  disabled={draft.readOnly}
                  aria-label={t('condition.take')}
                  options={TAKES.map((value) => ({ value, label: t(`take.${value}`), disabled: !takes(condition.field).includes(value) }))}
                  onChange={(next) => alter(index, { take: takeFrom(next, span ?? '5m') })}
                  style={{ width: 150 }}
                />
                {type !== 'now' && (
                  <InputNumber
                    value={spanMinutes(span)}
                    min={1}
                    max={1440}
                    precision={0}
                    disabled={draft.readOnly}
                    aria-label={t('condition.minutes')}
                    suffix={t('condition.minutesShort')}
                    onChange={(minutes) => alter(index, { take: takeFrom(type, `${minutes ?? 1}m`) })}
                    style={{ width: 110 }}
                  />
                )}
                <Select value={condition.field || undefined} disabled={draft.readOnly} status={status} aria-label={t('condition.field')} placeholder={t('condition.field')} options={stats.map((value) => ({ value, label: value }))} onChange={(field) => alter(index, { field })} style={{ width: 150 }} />
                <Select value={condition.op} disabled={draft.readOnly} aria-label={t('condition.op')} options={OPS.map((value) => ({ value, label: value }))} onChange={(op) => alter(index, { op })} style={{ width: 72 }} />
                <InputNumber value={condition.threshold} disabled={draft.readOnly} status={status} aria-label={t('condition.threshold')} onChange={(threshold) => alter(index, { threshold: threshold ?? 0 })} style={{ width: 130 }} />
                {!draft.readOnly && <Button type="text" icon={<DeleteOutlined />} aria-label={t('action.remove')} onClick={() => change(conditions.toSpliced(index, 1))} />}
              </div>
              {problems.map((problem) => <div key={problem.path} role="alert" style={{ color: '#ff4d4f' }}>{problem.message}</div>)}
            </div>
          );
        })}
        {!draft.readOnly && (
          <Button type="dashed" size="small" icon={<PlusOutlined />} onClick={() => change([...conditions, { field: stats[0] ?? '', take: first(), op: '>', threshold: 0 }])} style={{ justifySelf: 'start' }} data-testid={`${path}-add`}>{t('action.add')}</Button>
        )}
      </div>
    </Form.Item>
  );
}
