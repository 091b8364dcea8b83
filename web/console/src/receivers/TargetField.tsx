/** Whose alerts a subscription is about: all, or those of one monitor, rule, application or folder. */

import { AutoComplete, Select, Space } from 'antd';
import { useTranslation } from 'react-i18next';
import { Field, useFolders, useResourceOptions, type FieldProps, type Option } from '@/documents/fields';

const TYPES = ['all', 'monitor', 'rule', 'folder', 'app'] as const;
export type TargetType = (typeof TYPES)[number];

export function targetOf(value: unknown): [type: TargetType, name: string] {
  const [type, name] = Object.entries((value ?? { all: true }) as Record<string, unknown>)[0] ?? ['all', true];
  const known = TYPES.find((one) => one === type) ?? 'all';
  return [known, known === 'all' || typeof name !== 'string' ? '' : name];
}

export function TargetField(field: FieldProps) {
  const { t } = useTranslation();
  const monitors = useResourceOptions('monitors');
  const rules = useResourceOptions('alert-rules');
  const folders = useFolders();
  const offered: Record<TargetType, Option[]> = {
    all: [],
    monitor: monitors.data ?? [],
    rule: rules.data ?? [],
    folder: (folders.data ?? []).map(({ path }) => ({ value: path, label: path })),
    app: [],
  };
  return (
    <Field {...field}>
      {({ id, value, disabled, set }) => {
        const [type, name] = targetOf(value);
        return (
          <Space.Compact block>
            <Select<TargetType>
              id={id}
              value={type}
              disabled={disabled}
              options={TYPES.map((one) => ({ value: one, label: t(`target.${one}`) }))}
              onChange={(next) => set(next === 'all' ? { all: true } : { [next]: '' })}
              style={{ width: 160 }}
            />
            {type !== 'all' && (
              <AutoComplete value={name} disabled={disabled} options={offered[type]} aria-label={t(`target.${type}`)} onChange={(next: string) => set({ [type]: next })} style={{ flex: 1 }} />
            )}
          </Space.Compact>
        );
      }}
    </Field>
  );
}
