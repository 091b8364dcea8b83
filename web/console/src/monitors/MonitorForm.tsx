/** A monitor's form: where the lines are, what to pick out of them, what to count; and trying it. */

import { Card, Collapse } from 'antd';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import type { MonitorSpec, TrialReport } from '@/api/types';
import { useDocument } from '@/documents/draft';
import { ListField, MapField, MetadataFields, NumberField, SelectField, SwitchField, TextField } from '@/documents/fields';
import { ColumnsTable } from './ColumnsTable';
import { FilterRows, GroupByField, StatRows } from './Figures';
import { PathsField } from './PathsField';
import { Picking } from './Picking';
import { SampleSource, useAgents } from './SampleSource';
import { TimeFormatField } from './TimeFormatField';
import { Trial } from './Trial';
import { ServiceFields, TopFields, TypeField } from './TypeFields';

/** What each column yielded on the lines last seen, for offering values to filter by. */
export type Yields = Record<string, (string | null)[]>;

function yieldsOf(report: TrialReport): Yields {
  const found: Yields = {};
  for (const line of report.lines) for (const [name, value] of Object.entries(line.columns)) (found[name] ??= []).push(value);
  return found;
}

export function MonitorForm() {
  const { t } = useTranslation();
  const draft = useDocument<MonitorSpec>();
  const { spec } = draft.document;
  const agents = useAgents();
  const [agent, setAgent] = useState<string>();
  const [lines, setLines] = useState<string[]>([]);
  const [yields, setYields] = useState<Yields>({});
  const { paths, charset = 'auto' } = spec.source.log;
  const columns = spec.columns ?? [];
  const apps = [...new Set((agents.data ?? []).map(({ facts }) => facts.labels['app']).filter((app) => app !== undefined))];

  return (
    <div className="stack">
      <Card size="small" title={t('monitor.what')}>
        <MetadataFields folder />
        <div className="columns-2">
          <SelectField path="spec.app" label={t('monitor.app')} help={t('monitor.appHelp')} clearable options={[...new Set([...apps, ...(spec.app ? [spec.app] : [])])].map((app) => ({ value: app, label: app }))} />
          <SwitchField path="spec.enabled" label={t('state.enabled')} fallback />
        </div>
        <Collapse
          ghost
          items={[
            {
              key: 'targets',
              label: t('monitor.targets'),
              children: (
                <>
                  <div className="columns-2">
                    <ListField path="spec.targets.hosts" label={t('monitor.hosts')} free />
                    <ListField path="spec.targets.env" label={t('monitor.env')} free />
                    <ListField path="spec.targets.idc" label={t('monitor.idc')} free />
                    <ListField path="spec.targets.ldc" label={t('monitor.ldc')} free />
                  </div>
                  <MapField path="spec.targets.labels" label={t('form.labels')} />
                </>
              ),
            },
          ]}
        />
      </Card>

      <Card size="small" title={t('monitor.source')}>
        {!draft.readOnly && (
          <SampleSource
            agent={agent}
            paths={paths}
            charset={charset}
            onAgent={(id) => {
              setAgent(id);
              const app = agents.data?.find((one) => one.id === id)?.facts.labels['app'];
              if (draft.creating && app && !spec.app) draft.set('spec.app', app);
            }}
            onMonitor={(path) => draft.set('spec.source.log.paths', [...paths, { path }])}
            onLines={setLines}
          />
        )}
        <div style={{ height: 12 }} />
        <PathsField path="spec.source.log.paths" label={t('monitor.paths')} help={t('monitor.pathsHelp')} required />
        <Collapse
          ghost
          items={[
            {
              key: 'reading',
              label: t('monitor.reading'),
              children: (
                <div className="columns-2">
                  <TimeFormatField path="spec.source.log.time.format" label={t('monitor.timeFormat')} help={t('monitor.timeFormatHelp')} />
                  <SelectField path="spec.source.log.time.column" label={t('monitor.timeColumn')} clearable options={columns.map(({ name }) => ({ value: name, label: name }))} />
                  <TextField path="spec.source.log.time.timezone" label={t('form.timezone')} help={t('monitor.timezoneHelp')} placeholder="Asia/Shanghai" />
                  <TextField path="spec.source.log.charset" label={t('monitor.charset')} placeholder="auto" />
                  <SelectField path="spec.source.log.start" label={t('monitor.start')} fallback="end" options={['end', 'beginning'].map((value) => ({ value, label: t(`start.${value}`) }))} />
                  {spec.type !== 'minute_top' && <NumberField path="spec.limits.max_keys" label={t('monitor.maxKeys')} min={1} max={100_000} />}
                </div>
              ),
            },
          ]}
        />
      </Card>

      <Card size="small" title={t('monitor.columns')}>
        <div className="stack">
          {lines.length > 0 && !draft.readOnly && (
            <Picking
              lines={lines}
              taken={columns.map(({ name }) => name)}
              onAdd={(column, yielded) => {
                draft.set('spec.columns', [...columns, column]);
                setYields({ ...yields, [column.name]: yielded });
              }}
            />
          )}
          <ColumnsTable yields={yields} hasLines={lines.length > 0} />
        </div>
      </Card>

      <Card size="small" title={t('monitor.figures')}>
        <TypeField />
        <FilterRows yields={yields} />
        <GroupByField />
        {spec.type === 'service_metrics' ? <ServiceFields yields={yields} /> : <StatRows />}
        {spec.type === 'minute_top' && <TopFields />}
      </Card>

      {!draft.readOnly && (
        <Card size="small" title={t('trial.title')}>
          <Trial spec={spec} lines={lines} agent={agent} agents={agents.data ?? []} onReport={(report) => setYields({ ...yields, ...yieldsOf(report) })} />
        </Card>
      )}
    </div>
  );
}
