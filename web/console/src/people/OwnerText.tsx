import { Tag, Tooltip } from 'antd';
import { useTranslation } from 'react-i18next';

/** Whose token it is: `user:alice`, `system`; without anybody it is not accepted. */
export function OwnerText({ owner }: { owner?: string | null }) {
  const { t } = useTranslation();
  if (!owner) {
    return (
      <Tooltip title={t('token.noOwnerHelp')}>
        <Tag color="error">{t('token.noOwner')}</Tag>
      </Tooltip>
    );
  }
  return <>{owner === 'system' ? t('token.system') : owner.replace(/^user:/, '')}</>;
}
