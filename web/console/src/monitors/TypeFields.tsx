/** What a monitor yields, and what some types ask for beyond columns and statistics. */

import { Radio, Select } from 'antd';
import { useTranslation } from 'react-i18next';
import type { MonitorSpec } from '@/api/types';
import { useDocument } from '@/documents/draft';
import { Field, NumberField, SelectField } from '@/documents/fields';
import type { Yields } from './MonitorForm';
import { distinctValues } from './picks';
import { familyOf, ranks, withFamily, withService, type Family } from './spec';

/** What the server counts. */
const OFFERED: readonly Family[] = ['minute', 'second', 'service_metrics', 'minute_top'];

export function TypeField() {
  const { t } = useTranslation();
  const draft = useDocument<MonitorSpec>();
  const { spec } = draft.document;
  const family = familyOf(spec.type);
  return (
    <Field path="spec.type" label={t('type.title')} help={t(`type.${family}Help`)}>
      {({ id, disabled }) => (
        <Radio.Group
          id={id}
          optionType="button"
          value={family}
          disabled={disabled}
          options={OFFERED.map((value) => ({ value, label: <span data-testid={`type-${value}`}>{t(`type.${value}`)}</span> }))}
          onChange={(event) => draft.set('spec', withFamily(spec, event.target.value as Family))}
        />
      )}
    </Field>
  );
}

export function ServiceFields({ yields }: { yields: Yields }) {
  const { t } = useTranslation();
  const draft = useDocument<MonitorSpec>();
  const { spec } = draft.document;
  const columns = (spec.columns ?? []).map(({ name }) => ({ value: name, label: name }));
  const results = distinctValues(yields[spec.service?.result ?? ''] ?? []).map((value) => ({ value, label: value }));
  return (
    <>
      <div className="columns-2">
        <Field path="spec.service.result" label={t('service.result')} help={t('service.resultHelp')} required>
          {({ id, value, disabled }) => <Select id={id} disabled={disabled} value={typeof value === 'string' && value ? value : undefined} options={columns} placeholder={t('filter.column')} onChange={(result: string) => draft.set('spec', withService(spec, { result }))} data-testid="service-result" />}
        </Field>
        <Field path="spec.service.success" label={t('service.success')} help={t('service.successHelp')} required>
          {({ id, value, disabled }) => <Select id={id} disabled={disabled} mode="tags" value={(Array.isArray(value) ? value : ['Y']) as string[]} options={results} onChange={(success: string[]) => draft.set('spec', withService(spec, { success }))} data-testid="service-success" />}
        </Field>
      </div>
      <Field path="spec.service.cost" label={t('service.cost')} help={t('service.costHelp')}>
        {({ id, value, disabled }) => <Select id={id} disabled={disabled} allowClear value={typeof value === 'string' ? value : undefined} options={columns} placeholder={t('service.noCost')} onChange={(cost?: string) => draft.set('spec', withService(spec, { cost }))} data-testid="service-cost" />}
      </Field>
    </>
  );
}

export function TopFields() {
  const { t } = useTranslation();
  const { document } = useDocument<MonitorSpec>();
  return (
    <div className="columns-2">
      <NumberField path="spec.top.n" label={t('top.n')} help={t('top.nHelp')} required min={1} max={1000} />
      <SelectField path="spec.top.by" label={t('top.by')} required help={t('top.byHelp')} options={(document.spec.stats ?? []).filter(ranks).map(({ name }) => ({ value: name, label: name }))} />
    </div>
  );
}
