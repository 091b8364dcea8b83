import { Checkbox } from 'antd';
import { LEVELS, type Level } from '@/api/types';
import { Field, type FieldProps } from '@/documents/fields';

/** Levels as a row of boxes; all of them is written `all`. */
export function LevelsField(field: FieldProps) {
  return (
    <Field {...field}>
      {({ value, disabled, set }) => (
        <Checkbox.Group<Level>
          aria-label={typeof field.label === 'string' ? field.label : undefined}
          disabled={disabled}
          options={LEVELS.map((level) => ({ value: level, label: level }))}
          value={Array.isArray(value) ? (value as Level[]) : [...LEVELS]}
          onChange={(chosen) => set(chosen.length === LEVELS.length ? 'all' : LEVELS.filter((level) => chosen.includes(level)))}
        />
      )}
    </Field>
  );
}
