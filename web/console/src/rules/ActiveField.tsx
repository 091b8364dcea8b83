import { DeleteOutlined, PlusOutlined } from '@ant-design/icons';
import { Button, Input, Select } from 'antd';
import { useTranslation } from 'react-i18next';
import type { ActiveHours } from '@/api/types';
import { Field, type FieldProps } from '@/documents/fields';

const DAYS = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'] as const;

/** Stretches of the week in which a rule is judged; always without any. */
export function ActiveField(field: FieldProps) {
  const { t } = useTranslation();
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  return (
    <Field {...field}>
      {({ id, value, disabled, set }) => {
        const stretches = (Array.isArray(value) ? value : []) as ActiveHours[];
        const change = (next: ActiveHours[]) => set(next.length > 0 ? next : undefined);
        return (
          <div id={id} role="group" style={{ display: 'grid', gap: 6 }}>
            {stretches.map((hours, index) => {
              const alter = (part: Partial<ActiveHours>) => change(stretches.with(index, { ...hours, ...part }));
              return (
                <div className="row" key={index}>
                  <Select mode="multiple" value={hours.days ?? []} disabled={disabled} placeholder={t('active.everyDay')} aria-label={t('active.days')} options={DAYS.map((day) => ({ value: day, label: t(`day.${day}`) }))} onChange={(days) => alter({ days: DAYS.filter((day) => days.includes(day)) })} style={{ minWidth: 200, flex: 1 }} />
                  <Input value={hours.from ?? '00:00'} disabled={disabled} aria-label={t('active.from')} onChange={(event) => alter({ from: event.target.value })} style={{ width: 74 }} />
                  –
                  <Input value={hours.to ?? '24:00'} disabled={disabled} aria-label={t('active.to')} onChange={(event) => alter({ to: event.target.value })} style={{ width: 74 }} />
                  <Input value={hours.timezone ?? ''} disabled={disabled} aria-label={t('form.timezone')} placeholder="UTC" onChange={(event) => alter({ timezone: event.target.value === '' ? undefined : event.target.value })} style={{ width: 150 }} />
                  {!disabled && <Button type="text" icon={<DeleteOutlined />} aria-label={t('action.remove')} onClick={() => change(stretches.toSpliced(index, 1))} />}
                </div>
              );
            })}
            {!disabled && <Button type="dashed" size="small" icon={<PlusOutlined />} onClick={() => change([...stretches, { days: ['mon', 'tue', 'wed', 'thu', 'fri'], from: '09:00', to: '21:00', timezone: zone }])} style={{ justifySelf: 'start' }}>{t('action.add')}</Button>}
          </div>
        );
      }}
    </Field>
  );
}
