/** Deletes a document after asking; when others refer to it, says which, as the server names them. */

import { DeleteOutlined } from '@ant-design/icons';
import { useQueryClient } from '@tanstack/react-query';
import { App, Button, type ButtonProps } from 'antd';
import { useTranslation } from 'react-i18next';
import { api, resourcePath } from '@/api/client';
import { Failure } from '@/parts/Failure';
import { useSession } from '@/session';
import { resourcesKey } from './draft';

/** Asks, deletes, and shows why not where it was refused. */
export function useDelete() {
  const { t } = useTranslation();
  const { modal, message } = App.useApp();
  return (what: string, remove: () => Promise<unknown>, help?: string) => {
    modal.confirm({
      title: t('delete.ask', { what }),
      content: help,
      okText: t('action.delete'),
      okButtonProps: { danger: true, 'data-testid': 'delete-confirm' },
      onOk: async () => {
        try {
          await remove();
          void message.success(t('delete.done', { what }));
        } catch (error) {
          modal.error({ title: t('delete.refused', { what }), content: <Failure error={error} />, width: 560 });
        }
      },
    });
  };
}

export function DeleteButton({ plural, name, onDeleted, ...button }: { plural: string; name: string; onDeleted?: () => void } & ButtonProps) {
  const { t } = useTranslation();
  const { workspace } = useSession();
  const client = useQueryClient();
  const ask = useDelete();
  return (
    <Button
      danger
      icon={<DeleteOutlined />}
      aria-label={t('action.delete')}
      {...button}
      onClick={() =>
        ask(name, async () => {
          await api.delete(resourcePath(workspace, plural, name));
          await client.invalidateQueries({ queryKey: resourcesKey(workspace, plural) });
          onDeleted?.();
        })
      }
    />
  );
}
