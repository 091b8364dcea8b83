/** From a selected word to a column: the picks that yield it, what each yields on the other lines, a name. */

import { useQuery } from '@tanstack/react-query';
import { Alert, Button, Input, Radio, Space, Spin, Tag } from 'antd';
import { useMemo, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { api, resourcePath } from '@/api/client';
import type { Column, PickSuggestion } from '@/api/types';
import { Failure } from '@/parts/Failure';
import { Nothing } from '@/parts/Page';
import { useSession } from '@/session';
import { allNumbers, distinctValues, isColumnName, locate, pickWords, suggestName } from './picks';
import { SampleLines, type LineMark } from './SampleLines';
import { toCharacters, type Span } from './selection';

/** Lines sent with a selection; enough to tell picks apart. */
const MOST_LINES = 200;

interface Props {
  lines: string[];
  taken: string[];
  onAdd: (column: Column, yields: (string | null)[]) => void;
}

export function Picking({ lines, taken, onAdd }: Props) {
  const { t } = useTranslation();
  const { workspace } = useSession();
  const [selected, setSelected] = useState<{ line: number; span: Span }>();
  const [chosen, setChosen] = useState(0);
  const sent = lines.slice(0, MOST_LINES);
  const text = selected && lines[selected.line];

  const derived = useQuery({
    queryKey: ['derive', workspace, sent, selected],
    enabled: selected !== undefined && text !== undefined,
    retry: false,
    staleTime: Infinity,
    queryFn: async ({ signal }) => {
      const { line, span } = selected ?? { line: 0, span: { from: 0, to: 0 } };
      const selection = { line, ...toCharacters(lines[line] ?? '', span) };
      return (await api.post<{ suggestions: PickSuggestion[] }>(resourcePath(workspace, 'derive-pick'), { lines: sent, selection }, { signal })).suggestions;
    },
  });
  const suggestion = selected ? derived.data?.[chosen] : undefined;

  const marks = useMemo(() => {
    const found = new Map<number, LineMark>();
    suggestion?.yields.forEach((value, line) => {
      const span = value === null ? undefined : locate(lines[line] ?? '', suggestion.pick, value);
      if (span) found.set(line, { ...span, chosen: false });
    });
    if (selected) found.set(selected.line, { ...selected.span, chosen: true });
    return found;
  }, [suggestion, selected, lines]);

  return (
    <div className="stack" style={{ gap: 12 }}>
      <div className="muted">{t('sample.how')}</div>
      <SampleLines
        lines={lines}
        marks={marks}
        onSelect={(line, span) => {
          setSelected({ line, span });
          setChosen(0);
        }}
      />
      {selected && text !== undefined && (
        <div className="stack" style={{ gap: 10 }} aria-live="polite">
          <div>
            {t('pick.selected')} <Tag color="blue" className="mono" data-testid="pick-selected">{text.slice(selected.span.from, selected.span.to)}</Tag>
          </div>
          {derived.isPending && <Spin />}
          {derived.error && <Failure error={derived.error} />}
          {derived.data?.length === 0 && <Nothing title={t('pick.none')} help={t('pick.noneHelp')} />}
          {derived.data && derived.data.length > 0 && (
            <Radio.Group value={chosen} onChange={(event) => setChosen(event.target.value as number)} style={{ display: 'grid', gap: 6 }}>
              {derived.data.map((one, index) => (
                <Radio key={index} value={index} data-testid={`suggestion-${index}`}>
                  <Suggestion suggestion={one} />
                </Radio>
              ))}
            </Radio.Group>
          )}
          {suggestion && (
            <NameColumn
              key={JSON.stringify(suggestion.pick)}
              suggestion={suggestion}
              taken={taken}
              onAdd={(name) => {
                onAdd({ name, pick: suggestion.pick, ...(allNumbers(suggestion.yields) ? { number: true } : {}) }, suggestion.yields);
                setSelected(undefined);
              }}
            />
          )}
        </div>
      )}
    </div>
  );
}

function Suggestion({ suggestion }: { suggestion: PickSuggestion }) {
  const { t } = useTranslation();
  const { key, values } = pickWords(suggestion.pick);
  const missing = suggestion.yields.filter((value) => value === null).length;
  return (
    <span>
      {t(key, values)} <span className="muted">· {t('pick.distinct', { count: suggestion.distinct })}</span>
      {missing > 0 && <Tag color="orange" style={{ marginInlineStart: 6 }}>{t('pick.missing', { n: missing, of: suggestion.yields.length })}</Tag>}
      <span className="muted mono" style={{ display: 'block', overflowWrap: 'anywhere' }} data-testid="suggestion-yields">
        {distinctValues(suggestion.yields).slice(0, 8).join(' · ')}
        {suggestion.distinct > 8 ? ' …' : ''}
      </span>
    </span>
  );
}

function NameColumn({ suggestion, taken, onAdd }: { suggestion: PickSuggestion; taken: string[]; onAdd: (name: string) => void }) {
  const { t } = useTranslation();
  const [name, setName] = useState(() => suggestName(suggestion.pick, taken));
  const problem = !isColumnName(name) ? t('pick.nameRule') : taken.includes(name) ? t('pick.nameTaken') : undefined;
  const add = () => {
    if (!problem) onAdd(name);
  };
  return (
    <>
      <Space.Compact style={{ maxWidth: 420 }}>
        <Input value={name} onChange={(event) => setName(event.target.value.trim())} onPressEnter={add} onFocus={(event) => event.target.select()} aria-label={t('pick.columnName')} prefix={<span className="muted">{t('pick.columnName')}</span>} status={problem ? 'error' : ''} data-testid="column-name" />
        <Button type="primary" disabled={problem !== undefined} onClick={add} data-testid="column-add">{t('pick.add')}</Button>
      </Space.Compact>
      {problem && <Alert type="warning" title={problem} style={{ maxWidth: 420 }} />}
    </>
  );
}
