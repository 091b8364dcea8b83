/** A page that creates or edits a document of a larger kind. */

import { App, Button } from 'antd';
import { useState, type ReactNode } from 'react';
import { useTranslation } from 'react-i18next';
import { useNavigate } from 'react-router';
import type { Resource } from '@/api/types';
import { EnabledTag } from '@/parts/tags';
import { Page } from '@/parts/Page';
import { useSession } from '@/session';
import { DeleteButton } from './DeleteButton';
import { DocumentEditor } from './DocumentEditor';
import { useDraft } from './draft';
import { HistoryButton } from './History';
import { useLeaveGuard } from './useLeaveGuard';

interface Props<S> {
  plural: string;
  initial: Resource<S>;
  stored: boolean;
  /** Where to go from here once saved, deleted or given up. */
  back: (saved?: Resource<S>) => string;
  children: ReactNode;
}

export function DocumentPage<S extends { enabled?: boolean }>({ plural, initial, stored, back, children }: Props<S>) {
  const { t } = useTranslation();
  const { link } = useSession();
  const { message } = App.useApp();
  const navigate = useNavigate();
  const draft = useDraft(plural, initial, stored);
  const [readable, setReadable] = useState(true);
  const pass = useLeaveGuard(draft.dirty);
  const title = stored ? draft.document.metadata.displayName || draft.document.metadata.name : t('resource.create', { kind: t(`kind.${plural}`) });

  const save = async (as?: 'copy') => {
    const saved = await draft.save(as);
    if (!saved) {
      window.scrollTo({ top: 0 });
      return;
    }
    pass();
    void message.success(t('state.saved'));
    void navigate(link(back(saved)));
  };

  return (
    <Page
      sticky
      title={title}
      extra={stored ? <EnabledTag enabled={draft.document.spec.enabled !== false} /> : undefined}
      actions={
        <>
          {stored && (
            <HistoryButton
              plural={plural}
              name={initial.metadata.name}
              unsaved={draft.dirty}
              // What is being edited is no longer what is stored.
              onRestored={() => void navigate(link(back()))}
            />
          )}
          {stored && !draft.readOnly && (
            <DeleteButton
              plural={plural}
              name={initial.metadata.name}
              onDeleted={() => {
                pass();
                void navigate(link(plural));
              }}
            />
          )}
          <Button onClick={() => void navigate(link(back()))}>{t(draft.readOnly ? 'action.back' : 'action.cancel')}</Button>
          {!draft.readOnly && (
            <Button type="primary" loading={draft.saving} disabled={!readable} onClick={() => void save()} data-testid="document-save">{t('action.save')}</Button>
          )}
        </>
      }
    >
      <DocumentEditor draft={draft} onReadable={setReadable} name={stored ? initial.metadata.name : undefined} onSaveCopy={() => void save('copy')}>{children}</DocumentEditor>
    </Page>
  );
}
