import { MinusCircleOutlined, PlusOutlined } from '@ant-design/icons';
import { Button, Select, Space } from 'antd';
import { useTranslation } from 'react-i18next';
import { ROLES, type Role } from '@/api/types';
import { useMe } from '@/session';

/** A role in each of some workspaces. */
export function RolesInput({ value = {}, onChange }: { value?: Record<string, Role>; onChange?: (roles: Record<string, Role>) => void }) {
  const { t } = useTranslation();
  const workspaces = useMe().data?.workspaces ?? [];
  const entries = Object.entries(value);
  const free = workspaces.filter((workspace) => !(workspace in value));
  const write = (next: [string, Role][]) => onChange?.(Object.fromEntries(next));
  return (
    <div style={{ display: 'grid', gap: 6 }}>
      {entries.map(([workspace, role], index) => (
        <Space.Compact block key={workspace}>
          <Select value={workspace} options={[workspace, ...free].map((one) => ({ value: one, label: one }))} aria-label={t('session.workspace')} onChange={(next) => write(entries.with(index, [next, role]))} style={{ flex: 1 }} />
          <Select<Role> value={role} options={ROLES.map((one) => ({ value: one, label: t(`role.${one}`) }))} aria-label={t('role.role')} onChange={(next) => write(entries.with(index, [workspace, next]))} style={{ width: 150 }} />
          <Button icon={<MinusCircleOutlined />} aria-label={t('action.remove')} onClick={() => write(entries.toSpliced(index, 1))} />
        </Space.Compact>
      ))}
      <Button type="dashed" size="small" icon={<PlusOutlined />} disabled={free.length === 0} onClick={() => free[0] && write([...entries, [free[0], 'viewer']])} style={{ justifySelf: 'start' }}>{t('role.add')}</Button>
    </div>
  );
}

export function RolesText({ roles, platformAdmin }: { roles: Record<string, Role>; platformAdmin: boolean }) {
  const { t } = useTranslation();
  if (platformAdmin) return <>{t('role.platformAdmin')}</>;
  return <>{Object.entries(roles).map(([workspace, role]) => `${workspace}: ${t(`role.${role}`)}`).join(', ') || '–'}</>;
}
