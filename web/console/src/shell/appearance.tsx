/** Light, dark, or as the system has it; and Ant Design's own texts in the language in use. */

import { App as AntApp, ConfigProvider, theme, type ThemeConfig } from 'antd';
import type { Locale } from 'antd/es/locale';
import { createContext, use, useEffect, useMemo, useState, useSyncExternalStore, type ReactNode } from 'react';
import { useTranslation } from 'react-i18next';

export const THEMES = ['light', 'dark', 'system'] as const;
export type ThemeChoice = (typeof THEMES)[number];

const STORED = 'nightjar.theme';
const FONT = `-apple-system, BlinkMacSystemFont, 'Segoe UI', Roboto, 'PingFang SC', 'Microsoft YaHei', 'Noto Sans CJK SC', 'Noto Sans SC', sans-serif`;

interface Appearance {
  choice: ThemeChoice;
  dark: boolean;
  choose: (choice: ThemeChoice) => void;
}

const AppearanceContext = createContext<Appearance>({ choice: 'system', dark: false, choose: () => undefined });

export const useAppearance = () => use(AppearanceContext);

const systemDark = () => window.matchMedia('(prefers-color-scheme: dark)');

function watchSystem(changed: () => void) {
  const query = systemDark();
  query.addEventListener('change', changed);
  return () => query.removeEventListener('change', changed);
}

function storedChoice(): ThemeChoice {
  const stored = localStorage.getItem(STORED);
  return THEMES.find((choice) => choice === stored) ?? 'system';
}

async function antLocale(language: string): Promise<Locale> {
  if (language === 'zh-CN') {
    const [locale] = await Promise.all([import('antd/locale/zh_CN'), import('dayjs/locale/zh-cn')]);
    return locale.default;
  }
  return (await import('antd/locale/en_US')).default;
}

export function AppearanceProvider({ children }: { children: ReactNode }) {
  const { i18n } = useTranslation();
  const [choice, setChoice] = useState(storedChoice);
  const system = useSyncExternalStore(watchSystem, () => systemDark().matches);
  const [locale, setLocale] = useState<Locale>();
  const dark = choice === 'system' ? system : choice === 'dark';

  useEffect(() => {
    let current = true;
    void antLocale(i18n.language).then((found) => {
      if (current) setLocale(found);
    });
    return () => {
      current = false;
    };
  }, [i18n.language]);

  useEffect(() => {
    document.documentElement.dataset['theme'] = dark ? 'dark' : 'light';
    document.documentElement.style.colorScheme = dark ? 'dark' : 'light';
  }, [dark]);

  const config = useMemo<ThemeConfig>(
    () => ({
      algorithm: dark ? theme.darkAlgorithm : theme.defaultAlgorithm,
      token: { colorPrimary: dark ? '#5b7cfa' : '#2f54eb', borderRadius: 6, fontFamily: FONT, ...(dark ? { colorLink: '#8fa8ff' } : {}) },
      components: dark ? { Menu: { itemSelectedColor: '#c3d0ff', subMenuItemSelectedColor: '#c3d0ff' } } : {},
    }),
    [dark],
  );
  const appearance = useMemo<Appearance>(
    () => ({
      choice,
      dark,
      choose: (next) => {
        localStorage.setItem(STORED, next);
        setChoice(next);
      },
    }),
    [choice, dark],
  );

  return (
    <AppearanceContext value={appearance}>
      <ConfigProvider theme={config} locale={locale} button={{ autoInsertSpace: false }}>
        <AntApp style={{ minHeight: '100%' }}>{children}</AntApp>
      </ConfigProvider>
    </AppearanceContext>
  );
}
