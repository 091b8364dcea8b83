/** A document's editor: its form, the same as YAML, and what the server thinks of it. */

import { Alert, Form, Input, Tabs, type GetRef } from 'antd';
import { Component, useRef, useState, type ReactNode } from 'react';
import { useTranslation } from 'react-i18next';
import { ApiError } from '@/api/client';
import type { Problem, Resource } from '@/api/types';
import { Failure } from '@/parts/Failure';
import { DraftProvider, type Draft } from './draft';
import { fromYaml, lineOf, toYaml } from './yaml';

interface Props<S> {
  draft: Draft<S>;
  /** Told when what is typed as YAML cannot be read, so that it is not saved. */
  onReadable?: (readable: boolean) => void;
  children: ReactNode;
}

export function DocumentEditor<S>({ draft, onReadable, children }: Props<S>) {
  const { t } = useTranslation();
  const [tab, setTab] = useState('form');
  const [readable, setReadable] = useState(true);

  return (
    <DraftProvider value={draft as unknown as Draft}>
      <Form layout="vertical" component="div">
        {draft.error !== undefined && <div style={{ marginBottom: 12 }}><Failure error={draft.error} hint={draft.error instanceof ApiError && draft.error.status === 412 ? t(draft.creating ? 'error.taken' : 'error.stale') : undefined} /></div>}
        <Tabs
          activeKey={tab}
          onChange={(next) => {
            if (readable) setTab(next);
          }}
          destroyOnHidden
          items={[
            { key: 'form', label: t('form.form'), disabled: !readable, children: <Fits>{children}</Fits> },
            {
              key: 'yaml',
              label: <span data-testid="tab-yaml">YAML</span>,
              children: (
                <YamlText
                  document={draft.document}
                  problems={draft.problems}
                  readOnly={draft.readOnly}
                  onChange={(document) => {
                    const ok = document !== undefined;
                    setReadable(ok);
                    onReadable?.(ok);
                    if (ok) draft.replace(document as Resource<S>);
                  }}
                />
              ),
            },
          ]}
        />
      </Form>
    </DraftProvider>
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
  document: Resource<unknown>;
  problems: Problem[];
  readOnly: boolean;
  onChange: (document: Resource | undefined) => void;
}

function YamlText({ document, problems, readOnly, onChange }: YamlProps) {
  const { t } = useTranslation();
  const [text, setText] = useState(() => toYaml(document));
  const [error, setError] = useState<string>();
  const area = useRef<GetRef<typeof Input.TextArea>>(null);

  const change = (next: string) => {
    setText(next);
    const parsed = fromYaml(next);
    setError(parsed.error);
    onChange(parsed.document);
  };
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
        onChange={(event) => change(event.target.value)}
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
