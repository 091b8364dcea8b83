/** A format of times: one of those with names, each shown with an example, or a pattern that is typed. */

import { Select } from 'antd';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { Field, type FieldProps } from '@/documents/fields';
import { TIME_FORMATS, typedFormat } from './timeFormats';

export function TimeFormatField(field: FieldProps) {
  const { t } = useTranslation();
  const [typed, setTyped] = useState('');
  return (
    <Field {...field}>
      {({ set, value, ...control }) => {
        const chosen = typeof value === 'string' && value !== '' ? value : 'auto';
        const patterns = [...new Set([typedFormat(typed), typedFormat(chosen)])].filter((one) => one !== undefined);
        const options = [
          ...patterns.map((name) => ({ value: name, name, example: t('timeFormat.strftime') })),
          ...TIME_FORMATS.map(([name, example]) => ({ value: name, name: t(`timeFormat.${name}`), example })),
        ];
        return (
          <Select
            {...control}
            value={chosen}
            options={options}
            optionLabelProp="name"
            optionRender={({ data }) => (
              <div style={{ display: 'flex', justifyContent: 'space-between', gap: 12 }}>
                <span>{data.name}</span>
                <span className="muted mono">{data.example}</span>
              </div>
            )}
            popupMatchSelectWidth={false}
            showSearch={{
              onSearch: setTyped,
              filterOption: (input, option) => [option?.value, option?.name, option?.example].some((text) => text?.toLowerCase().includes(input.trim().toLowerCase())),
            }}
            onChange={(next: string) => {
              setTyped('');
              set(next);
            }}
            data-testid={field.path}
          />
        );
      }}
    </Field>
  );
}
