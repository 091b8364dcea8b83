/** An alert rule's form. */

import { Card, Collapse } from 'antd';
import { useTranslation } from 'react-i18next';
import { LEVELS, type AlertRuleSpec, type MonitorSpec } from '@/api/types';
import { useDocument } from '@/documents/draft';
import { MetadataFields, NumberField, SelectField, SwitchField, TextField } from '@/documents/fields';
import { useResources } from '@/documents/ResourcePage';
import { ActiveField } from './ActiveField';
import { ConditionsField } from './ConditionsField';
import { WhereField } from './WhereField';

export function RuleForm() {
  const { t } = useTranslation();
  const { spec } = useDocument<AlertRuleSpec>().document;
  const monitors = useResources<MonitorSpec>('monitors', { builtIn: 'true' });
  const monitor = monitors.data?.find(({ metadata }) => metadata.name === spec.monitor)?.spec;
  const columns = [...new Set([...(monitor?.group_by ?? []), ...Object.keys(spec.where ?? {})])];
  const choices = (kind: string, values: string[]) => values.map((value) => ({ value, label: t(`${kind}.${value}`) }));

  return (
    <div className="stack">
      <Card size="small" title={t('rule.what')}>
        <MetadataFields folder />
        <div className="columns-2">
          <SelectField path="spec.monitor" label={t('kind.monitors')} required loading={monitors.isPending} options={(monitors.data ?? []).filter(({ spec }) => spec.type !== 'minute_top').map(({ metadata }) => ({ value: metadata.name, label: metadata.displayName ? `${metadata.displayName} (${metadata.name})` : metadata.name }))} />
          <SelectField path="spec.level" label={t('rule.level')} fallback="P2" options={LEVELS.map((value) => ({ value, label: `${value} ${t(`level.${value}`)}` }))} />
        </div>
        <SwitchField path="spec.enabled" label={t('state.enabled')} fallback />
      </Card>

      <Card size="small" title={t('rule.when')}>
        {columns.length > 0 && <div className="muted" style={{ marginBottom: 8 }}>{t('rule.whereHelp')}</div>}
        {columns.map((column) => <WhereField key={column} column={column} />)}
        <ConditionsField path="spec.conditions" label={t('rule.conditions')} monitor={monitor} required />
        <div className="columns-2">
          <SelectField path="spec.match" label={t('rule.match')} fallback="all" options={choices('match', ['all', 'any'])} />
          <TextField path="spec.every" label={t('rule.every')} placeholder="1m" help={t('rule.everyHelp')} />
          <NumberField path="spec.for.times" label={t('rule.times')} help={t('rule.timesHelp')} min={1} max={60} />
          <NumberField path="spec.for.of" label={t('rule.of')} help={t('rule.ofHelp')} min={1} max={60} />
        </div>
      </Card>

      <Card size="small" title={t('rule.data')}>
        <div className="columns-2">
          <SelectField path="spec.partial_data" label={t('rule.partialData')} help={t(`partialData.${spec.partial_data ?? 'wait'}Help`)} fallback="wait" options={choices('partialData', ['wait', 'judge'])} />
          <TextField path="spec.max_wait" label={t('rule.maxWait')} placeholder="1m" help={t('rule.maxWaitHelp')} />
          <SelectField path="spec.no_data" label={t('rule.noData')} help={t(`noData.${spec.no_data ?? 'keep'}Help`)} fallback="keep" options={choices('noData', ['keep', 'alert', 'ok'])} />
        </div>
      </Card>

      <Card size="small" title={t('rule.message')}>
        <TextField path="spec.message.text" label={t('rule.text')} help={t('rule.textHelp')} rows={2} mono />
        <TextField path="spec.message.advice" label={t('rule.advice')} rows={2} />
        <TextField path="spec.message.link" label={t('rule.link')} placeholder="https://" />
      </Card>

      <Collapse
        items={[
          {
            key: 'more',
            label: t('rule.more'),
            forceRender: false,
            children: (
              <>
                <NumberField path="spec.recover.times" label={t('rule.recoverTimes')} help={t('rule.recoverTimesHelp')} min={1} max={60} />
                <ConditionsField path="spec.recover.conditions" label={t('rule.recoverConditions')} help={t('rule.recoverConditionsHelp')} monitor={monitor} />
                <ActiveField path="spec.active" label={t('rule.active')} help={t('rule.activeHelp')} />
              </>
            ),
          },
        ]}
      />
    </div>
  );
}
