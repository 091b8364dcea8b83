import { CheckOutlined, CopyOutlined } from '@ant-design/icons';
import { App, Button } from 'antd';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';

/** The clipboard is not there on plain http; then a selection is copied the old way. */
async function copy(text: string): Promise<boolean> {
  if (window.isSecureContext) {
    await navigator.clipboard.writeText(text);
    return true;
  }
  const area = document.createElement('textarea');
  area.value = text;
  area.style.position = 'fixed';
  area.style.opacity = '0';
  document.body.append(area);
  area.select();
  // eslint-disable-next-line @typescript-eslint/no-deprecated -- there is no other way without a secure context
  const done = document.execCommand('copy');
  area.remove();
  return done;
}

export function CopyButton({ text, label }: { text: string; label?: string }) {
  const { t } = useTranslation();
  const { message } = App.useApp();
  const [done, setDone] = useState(false);
  return (
    <Button
      icon={done ? <CheckOutlined /> : <CopyOutlined />}
      data-testid="copy"
      onClick={async () => {
        const copied = await copy(text).catch(() => false);
        if (copied) {
          setDone(true);
          setTimeout(() => setDone(false), 2000);
        } else {
          void message.warning(t('state.copyFailed'));
        }
      }}
    >
      {done ? t('state.copied') : (label ?? t('action.copy'))}
    </Button>
  );
}
