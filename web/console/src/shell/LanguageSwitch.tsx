import { GlobalOutlined } from '@ant-design/icons';
import { Button } from 'antd';
import { useTranslation } from 'react-i18next';
import { LANGUAGES, setLanguage, type Language } from '@/i18n';

/** Shows the other language, in itself. */
export function LanguageSwitch() {
  const { i18n } = useTranslation();
  const other: Language = i18n.language === 'zh-CN' ? 'en-US' : 'zh-CN';
  return (
    <Button type="text" icon={<GlobalOutlined />} lang={other} onClick={() => void setLanguage(other)} data-testid="language-switch">
      {LANGUAGES[other]}
    </Button>
  );
}
