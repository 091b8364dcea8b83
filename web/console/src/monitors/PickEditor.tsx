/** A pick written by hand. */

import { Input, InputNumber, Select, Space } from 'antd';
import { useTranslation } from 'react-i18next';
import type { Pick } from '@/api/types';
import { BLANK_PICKS, PICK_TYPES, pickType, type PickType } from './picks';

export function PickEditor({ pick, disabled, onChange }: { pick: Pick; disabled: boolean; onChange: (pick: Pick) => void }) {
  const { t } = useTranslation();
  const text = (value: string | undefined, label: string, change: (text: string) => void, width = 130) => (
    <Input className="mono" value={value} disabled={disabled} aria-label={label} placeholder={label} onChange={(event) => change(event.target.value)} style={{ width }} />
  );
  const number = (value: number, label: string, min: number, change: (value: number) => void) => (
    <InputNumber value={value} min={min} max={1000} disabled={disabled} aria-label={label} title={label} onChange={(next) => change(next ?? min)} style={{ width: 70 }} />
  );
  return (
    <Space.Compact>
      <Select<PickType>
        value={pickType(pick)}
        disabled={disabled}
        aria-label={t('pick.type')}
        options={PICK_TYPES.map((type) => ({ value: type, label: t(`pick.${type}`) }))}
        onChange={(type) => onChange(BLANK_PICKS[type])}
        style={{ width: 120 }}
      />
      {'split' in pick && (
        <>
          {text(pick.split.by, t('pick.by'), (by) => onChange({ split: { ...pick.split, by } }), 80)}
          {number(pick.split.index, t('pick.index'), 0, (index) => onChange({ split: { ...pick.split, index } }))}
        </>
      )}
      {'between' in pick && (
        <>
          {text(pick.between.left, t('pick.left'), (left) => onChange({ between: { ...pick.between, left } }))}
          {text(pick.between.right, t('pick.right'), (right) => onChange({ between: { ...pick.between, right } }), 100)}
          {number(pick.between.nth ?? 1, t('pick.nth'), 1, (nth) => onChange({ between: { ...pick.between, nth } }))}
        </>
      )}
      {'regex' in pick && (
        <>
          {text(pick.regex.pattern, t('pick.pattern'), (pattern) => onChange({ regex: { ...pick.regex, pattern } }), 260)}
          {text(String(pick.regex.group ?? 1), t('pick.group'), (group) => onChange({ regex: { ...pick.regex, group: /^\d+$/.test(group) ? Number(group) : group } }), 80)}
        </>
      )}
      {'json' in pick && text(pick.json.pointer, t('pick.pointer'), (pointer) => onChange({ json: { pointer } }), 220)}
    </Space.Compact>
  );
}
