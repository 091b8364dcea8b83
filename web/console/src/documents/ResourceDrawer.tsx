/** Creates or edits a document of a simple kind in a drawer. */

import { App, Button, Drawer, Grid } from 'antd';
import { useState, type ReactNode } from 'react';
import { useTranslation } from 'react-i18next';
import type { Resource } from '@/api/types';
import { DocumentEditor } from './DocumentEditor';
import { useDraft } from './draft';
import { MetadataFields } from './fields';

interface Props {
  plural: string;
  initial: Resource;
  stored: boolean;
  fields: ReactNode;
  onClose: () => void;
}

export function ResourceDrawer({ plural, initial, stored, fields, onClose }: Props) {
  const { t } = useTranslation();
  const { message, modal } = App.useApp();
  const draft = useDraft(plural, initial, stored);
  const [readable, setReadable] = useState(true);
  const wide = Grid.useBreakpoint().md ?? true;
  const title = stored ? initial.metadata.displayName || initial.metadata.name : t('resource.create', { kind: t(`kind.${plural}`) });

  const close = () => {
    if (!draft.dirty) onClose();
    else modal.confirm({ title: t('form.discardAsk'), okText: t('form.discard'), okButtonProps: { danger: true }, onOk: onClose });
  };

  const save = async (as?: 'copy') => {
    const saved = await draft.save(as);
    if (!saved) return;
    void message.success(t('state.saved'));
    onClose();
  };

  return (
    <Drawer
      open
      title={title}
      size={wide ? 680 : '100%'}
      onClose={close}
      footer={
        <div className="row" style={{ justifyContent: 'flex-end' }}>
          <Button onClick={close}>{t(draft.readOnly ? 'action.close' : 'action.cancel')}</Button>
          {!draft.readOnly && (
            <Button
              type="primary"
              loading={draft.saving}
              disabled={!readable}
              data-testid="resource-save"
              onClick={() => void save()}
            >
              {t('action.save')}
            </Button>
          )}
        </div>
      }
    >
      <DocumentEditor draft={draft} onReadable={setReadable} name={stored ? initial.metadata.name : undefined} onSaveCopy={() => void save('copy')}>
        <MetadataFields />
        {fields}
      </DocumentEditor>
    </Drawer>
  );
}
