/** What a document was: its versions, what each changed, and a way back for editors. */

import { HistoryOutlined } from '@ant-design/icons';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { App, Button, Collapse, Drawer, Grid, Segmented, Tag, Tooltip } from 'antd';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { api, resourcePath } from '@/api/client';
import type { Page as PageOf, Resource } from '@/api/types';
import { Diff } from '@/parts/Diff';
import { Failure } from '@/parts/Failure';
import { Loading } from '@/parts/Loading';
import { TimeText } from '@/parts/TimeText';
import { useSession } from '@/session';
import { resourcesKey } from './draft';
import { compare, type Against } from './versions';

interface Props {
  plural: string;
  name: string;
  /** Whether something on the page would be lost by a restore. */
  unsaved?: boolean;
  onRestored?: () => void;
}

export function HistoryButton(props: Props) {
  const { t } = useTranslation();
  const [open, setOpen] = useState(false);
  const wide = Grid.useBreakpoint().md ?? true;
  return (
    <>
      <Button icon={<HistoryOutlined />} aria-label={t('history.title')} onClick={() => setOpen(true)} data-testid="history">{wide && t('history.title')}</Button>
      <Drawer open={open} title={t('history.of', { name: props.name })} size={wide ? 720 : '100%'} destroyOnHidden onClose={() => setOpen(false)}>
        <Versions {...props} onRestored={() => { setOpen(false); props.onRestored?.(); }} />
      </Drawer>
    </>
  );
}

function Versions({ plural, name, unsaved = false, onRestored }: Props) {
  const { t } = useTranslation();
  const { workspace, can } = useSession();
  const [against, setAgainst] = useState<Against>('before');
  const restore = useRestore(plural, name, onRestored);
  const versions = useQuery({
    queryKey: [...resourcesKey(workspace, plural), 'versions', name],
    queryFn: async ({ signal }) => (await api.get<PageOf<Resource>>(`${resourcePath(workspace, plural, name)}/versions`, { signal })).items,
    staleTime: 0,
  });
  if (versions.error) return <Failure error={versions.error} retry={() => void versions.refetch()} />;
  if (!versions.data) return <Loading />;
  const all = versions.data;
  const current = all[0]?.metadata.version ?? 0;

  return (
    <div className="stack" style={{ gap: 12 }}>
      <Segmented value={against} onChange={setAgainst} options={[{ value: 'before', label: t('history.before') }, { value: 'current', label: t('history.against') }]} />
      <Collapse
        accordion
        size="small"
        destroyOnHidden
        defaultActiveKey={current}
        data-testid="history-versions"
        items={all.map(({ metadata: { updatedAt, updatedBy, ...metadata } }) => {
          const version = metadata.version ?? 0;
          const sides = compare(all, version, against);
          return {
            key: version,
            label: (
              <span className="row" style={{ gap: 8 }}>
                <strong>#{version}</strong>
                <TimeText value={updatedAt} absolute />
                <span className="muted" style={{ overflowWrap: 'anywhere' }}>{updatedBy}</span>
                {version === current && <Tag color="green">{t('history.current')}</Tag>}
              </span>
            ),
            children: (
              <div className="stack" style={{ gap: 8 }}>
                {sides && <Diff before={sides.before} after={sides.after} context={3} />}
                {can('editor') && version !== current && (
                  <Tooltip title={unsaved ? t('history.unsaved') : undefined}>
                    <Button disabled={unsaved} onClick={() => restore(version)} data-testid="history-restore">{t('history.restore', { version })}</Button>
                  </Tooltip>
                )}
              </div>
            ),
          };
        })}
      />
    </div>
  );
}

/** Asks, restores, and shows why not where it was refused: what an old version refers to may be gone. */
function useRestore(plural: string, name: string, onRestored: Props['onRestored']) {
  const { t } = useTranslation();
  const { workspace } = useSession();
  const { modal, message } = App.useApp();
  const client = useQueryClient();
  return (version: number) => {
    modal.confirm({
      title: t('history.restoreAsk', { version }),
      content: t('history.restoreHelp'),
      okText: t('history.restore', { version }),
      okButtonProps: { 'data-testid': 'history-confirm' },
      onOk: async () => {
        try {
          await api.post(`${resourcePath(workspace, plural, name)}/restore`, undefined, { query: { version } });
          await client.invalidateQueries({ queryKey: resourcesKey(workspace, plural) });
          void message.success(t('history.restored', { version }));
          onRestored?.();
        } catch (error) {
          modal.error({ title: t('history.refused', { version }), content: <Failure error={error} />, width: 560 });
        }
      },
    });
  };
}
