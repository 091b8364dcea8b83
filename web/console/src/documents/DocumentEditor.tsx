/** A document's editor: its form, the same as YAML, and what the server thinks of it. */

import { Alert, Button, Form, Input, Tabs, type GetRef } from 'antd';
import { Component, useMemo, useRef, useState, type ReactNode } from 'react';
import { useTranslation } from 'react-i18next';
import { ApiError } from '@/api/client';
import type { Problem, Resource } from '@/api/types';
import { Failure } from '@/parts/Failure';
import { DraftProvider, type Draft } from './draft';
import { fromYaml, lineOf, toYaml, withName } from './yaml';

interface Props<S> {
  draft: Draft<S>;
  /** Told when what is typed as YAML cannot be read, so that it is not saved. */
  onReadable?: (readable: boolean) => void;
  /** The document's own name, where it is stored. */
  name?: string;
  /** Saves what was renamed beside the document of that name. */
  onSaveCopy?: () => void;
  children: ReactNode;
}

export function DocumentEditor<S>({ draft, onReadable, name, onSaveCopy, children }: Props<S>) {
  const { t } = useTranslation();
  const [tab, setTab] = useState('form');
  const [readable, setReadable] = useState(true);
  const [text, setText] = useState('');

  const change = (next: string) => {
    setText(next);
    const { document } = fromYaml(next);
    setReadable(document !== undefined);
    onReadable?.(document !== undefined);
    if (document) draft.replace(document as Resource<S>);
  };
  const keepName = (own: string) => {
    if (tab === 'yaml') change(withName(text, own));
    else draft.set('metadata.name', own);
  };

  return (
    <DraftProvider value={draft as unknown as Draft}>
      <Form layout="vertical" component="div">
        {draft.error !== undefined && <div style={{ marginBottom: 12 }}><Failure error={draft.error} hint={draft.error instanceof ApiError && draft.error.status === 412 ? t(draft.creating || draft.renamed !== undefined ? 'error.taken' : 'error.stale') : undefined} /></div>}
        {readable && draft.renamed !== undefined && name !== undefined && <Renamed name={name} to={draft.renamed} saving={draft.saving} onKeep={() => keepName(name)} onSaveCopy={onSaveCopy} />}
        <Tabs
          activeKey={tab}
          onChange={(next) => {
            if (!readable) return;
            if (next === 'yaml') setText(toYaml(draft.document));
            setTab(next);
          }}
          destroyOnHidden
          items={[
            { key: 'form', label: t('form.form'), disabled: !readable, children: <Fits>{children}</Fits> },
            {
              key: 'yaml',
              label: <span data-testid="tab-yaml">YAML</span>,
              children: <YamlText text={text} problems={draft.problems} readOnly={draft.readOnly} onChange={change} />,
            },
          ]}
        />
      </Form>
    </DraftProvider>
  );
}

/** A document under another name is another document: beside the one that was opened, or not at all. */
function Renamed({ name, to, saving, onKeep, onSaveCopy }: { name: string; to: string; saving: boolean; onKeep: () => void; onSaveCopy?: () => void }) {
  const { t } = useTranslation();
  return (
    <Alert
      type="warning"
      showIcon
      data-testid="renamed"
      style={{ marginBottom: 12 }}
      title={t('identity.renamed', { name })}
      description={t('identity.renamedHelp', { name, to: to || '?' })}
      action={
        <span className="row">
          <Button size="small" onClick={onKeep} data-testid="keep-name">{t('identity.keep')}</Button>
          {onSaveCopy && <Button size="small" type="primary" loading={saving} disabled={!to} onClick={onSaveCopy} data-testid="save-copy">{t('identity.saveCopy')}</Button>}
        </span>
      }
    />
  );
}

/** YAML can say what no form can show, a text where a list belongs: then the form steps aside. */
class Boundary extends Component<{ otherwise: ReactNode; children: ReactNode }, { broken: boolean }> {
  override state = { broken: false };

  static getDerivedStateFromError() {
    return { broken: true };
  }

  override render() {
    return this.state.broken ? this.props.otherwise : this.props.children;
  }
}

function Fits({ children }: { children: ReactNode }) {
  const { t } = useTranslation();
  return <Boundary otherwise={<Alert type="warning" showIcon title={t('form.doesNotFit')} />}>{children}</Boundary>;
}

interface YamlProps {
  text: string;
  problems: Problem[];
  readOnly: boolean;
  onChange: (text: string) => void;
}

function YamlText({ text, problems, readOnly, onChange }: YamlProps) {
  const { t } = useTranslation();
  const parsed = useMemo(() => fromYaml(text), [text]);
  const error = parsed.twice ? t('form.keyTwice', parsed.twice) : parsed.error;
  const area = useRef<GetRef<typeof Input.TextArea>>(null);

  const goTo = (line: number) => {
    const element = area.current?.resizableTextArea?.textArea;
    const start = text.split('\n').slice(0, line - 1).join('\n').length + (line > 1 ? 1 : 0);
    element?.focus();
    element?.setSelectionRange(start, text.indexOf('\n', start) < 0 ? text.length : text.indexOf('\n', start));
  };

  return (
    <div className="stack" style={{ gap: 8 }}>
      <Input.TextArea
        ref={area}
        className="mono"
        aria-label="YAML"
        value={text}
        readOnly={readOnly}
        spellCheck={false}
        autoSize={{ minRows: 16, maxRows: 40 }}
        status={error ? 'error' : ''}
        onChange={(event) => onChange(event.target.value)}
        data-testid="yaml"
      />
      {error && <Alert type="error" showIcon title={t('form.yamlUnreadable')} description={<pre className="mono" style={{ margin: 0, whiteSpace: 'pre-wrap' }}>{error}</pre>} />}
      {problems.map((problem, index) => {
        const line = lineOf(text, problem.path);
        return (
          <div key={index} role="alert">
            {line !== undefined && <a href="#yaml" onClick={(event) => { event.preventDefault(); goTo(line); }}>{t('form.line', { line })}</a>}{' '}
            <code>{problem.path}</code> {problem.message}
          </div>
        );
      })}
    </div>
  );
}
