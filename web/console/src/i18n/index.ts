/** The two languages. Only the one in use is fetched. */

import i18next from 'i18next';
import { initReactI18next } from 'react-i18next';

export const LANGUAGES = { 'zh-CN': '简体中文', 'en-US': 'English' } as const;
export type Language = keyof typeof LANGUAGES;

const STORED = 'nightjar.language';

export function isLanguage(text: string | null | undefined): text is Language {
  return text !== null && text !== undefined && text in LANGUAGES;
}

/** The one chosen before, else the browser's where it is Chinese, else English. */
export function preferredLanguage(stored: string | null, browser: readonly string[]): Language {
  if (isLanguage(stored)) return stored;
  return browser[0]?.toLowerCase().startsWith('zh') ? 'zh-CN' : 'en-US';
}

async function texts(language: Language): Promise<object> {
  const module = language === 'zh-CN' ? await import('./zh-CN.json') : await import('./en-US.json');
  return module.default;
}

export async function startLanguage(): Promise<void> {
  const language = preferredLanguage(localStorage.getItem(STORED), navigator.languages);
  await i18next.use(initReactI18next).init({
    lng: language,
    resources: { [language]: { translation: await texts(language) } },
    fallbackLng: false,
    interpolation: { escapeValue: false },
    returnNull: false,
  });
  document.documentElement.lang = language;
}

export async function setLanguage(language: Language): Promise<void> {
  if (!i18next.hasResourceBundle(language, 'translation')) {
    i18next.addResourceBundle(language, 'translation', await texts(language));
  }
  await i18next.changeLanguage(language);
  localStorage.setItem(STORED, language);
  document.documentElement.lang = language;
}
