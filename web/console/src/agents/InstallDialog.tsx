import { useQueryClient } from '@tanstack/react-query';
import { Alert, Button, Form, Input, InputNumber, Modal, Select } from 'antd';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { api, resourcePath } from '@/api/client';
import type { NewEnrolmentToken } from '@/api/types';
import { CopyButton } from '@/parts/CopyButton';
import { Failure } from '@/parts/Failure';
import { useSession } from '@/session';
import { isLabel, withLabels } from './command';

const DAY = 86_400_000;
const LIVES: Record<string, number | null> = { '1d': DAY, '7d': 7 * DAY, '30d': 30 * DAY, never: null };

/** Makes an enrolment token and shows the one command that installs an agent with it. */
export function InstallDialog({ onClose }: { onClose: () => void }) {
  const { t } = useTranslation();
  const { workspace } = useSession();
  const client = useQueryClient();
  const [made, setMade] = useState<NewEnrolmentToken>();
  const [labels, setLabels] = useState<string[]>([]);
  const [error, setError] = useState<unknown>();
  const [busy, setBusy] = useState(false);

  const create = async ({ note, uses, life, labels = [] }: { note?: string; uses?: number | null; life: string; labels?: string[] }) => {
    setLabels(labels);
    setBusy(true);
    setError(undefined);
    const length = LIVES[life];
    try {
      setMade(
        await api.post(resourcePath(workspace, 'enrolment-tokens'), {
          note: note ?? '',
          uses: uses ?? null,
          expiresAt: length === null || length === undefined ? null : new Date(Date.now() + length).toISOString(),
        }),
      );
      await client.invalidateQueries({ queryKey: ['enrolment-tokens', workspace] });
    } catch (failure) {
      setError(failure);
    } finally {
      setBusy(false);
    }
  };

  const command = made?.install ? withLabels(made.install, labels) : made?.token;
  return (
    <Modal open title={t('agent.install')} footer={made ? <Button type="primary" onClick={onClose}>{t('action.close')}</Button> : null} onCancel={onClose} width={680}>
      {error !== undefined && <Failure error={error} />}
      {made && command !== undefined ? (
        <div className="stack" style={{ gap: 12 }}>
          <div>{t(made.install ? 'agent.installHelp' : 'agent.noCommand')}</div>
          <pre className="block mono" data-testid="install-command">{command}</pre>
          <CopyButton text={command} />
          {made.install && <div className="muted">{t('agent.installOwn')}</div>}
          <Alert type="warning" showIcon title={t('agent.tokenOnce')} />
          <div className="muted">{t('agent.uninstall')}</div>
        </div>
      ) : (
        <Form layout="vertical" onFinish={create} initialValues={{ life: '7d' }}>
          <Form.Item name="note" label={t('agent.note')} extra={t('agent.noteHelp')}><Input autoFocus /></Form.Item>
          <div className="columns-2">
            <Form.Item name="uses" label={t('agent.uses')} extra={t('agent.usesHelp')}><InputNumber min={1} max={100_000} style={{ width: '100%' }} placeholder={t('agent.anyNumber')} /></Form.Item>
            <Form.Item name="life" label={t('token.life')}><Select options={Object.keys(LIVES).map((value) => ({ value, label: t(`life.${value}`) }))} /></Form.Item>
          </div>
          <Form.Item
            name="labels"
            label={t('form.labels')}
            extra={t('agent.labelsHelp')}
            rules={[{ validator: (_, given: string[] = []) => (given.every(isLabel) ? Promise.resolve() : Promise.reject(new Error(t('agent.labelRule')))) }]}
          >
            <Select mode="tags" open={false} suffix={null} tokenSeparators={[',', ' ', '\n']} placeholder="app=trade" data-testid="install-labels" />
          </Form.Item>
          <Button type="primary" htmlType="submit" loading={busy} data-testid="install-create">{t('agent.makeCommand')}</Button>
        </Form>
      )}
    </Modal>
  );
}
