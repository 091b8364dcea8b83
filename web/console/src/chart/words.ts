/** What is said of windows, in the reader's language; the same wherever it is said. */

import type { TFunction } from 'i18next';
import { useCallback } from 'react';
import { useTranslation } from 'react-i18next';
import { named } from '@/parts/format';
import { shownAs, type Shown, type WindowMark } from './completeness';

const TITLES: Record<Shown, string> = {
  complete: 'completeness.complete',
  revised: 'completeness.revised',
  missing: 'completeness.partial',
  lost: 'completeness.never',
  open: 'completeness.in_progress',
  uncollected: 'completeness.nobody',
};

export const titleOf = (t: TFunction, shown: Shown): string => t(TITLES[shown]);

/** Agents by name, `a, b, +3`; empty where none is missing. */
export const missingText = ({ missing, missingCount }: WindowMark, hosts: ReadonlyMap<string, string>): string => named(missing.map((agent) => hosts.get(agent) ?? agent), missingCount);

/** Why, where there is more to say than the state. */
export function whyOf(t: TFunction, mark: WindowMark, hosts: ReadonlyMap<string, string>): string {
  const agents = missingText(mark, hosts);
  switch (shownAs(mark)) {
    case 'missing':
      return agents ? t('completeness.missing', { agents }) : t('completeness.partialHelp');
    case 'lost': {
      const why = t(`incomplete.${mark.reason ?? 'lost'}`);
      return agents ? `${why}: ${agents}` : why;
    }
    case 'open':
      return t('completeness.in_progressHelp');
    case 'uncollected':
      return t('incomplete.nobody_expected');
    case 'revised':
      return t('completeness.revisedHelp');
    case 'complete':
      return t('completeness.completeHelp');
  }
}

/** The state and, where something is missing, who. */
export function useStateText(hosts: ReadonlyMap<string, string>) {
  const { t } = useTranslation();
  return useCallback(
    (mark: WindowMark): string => {
      const shown = shownAs(mark);
      const title = titleOf(t, shown);
      return shown === 'missing' || shown === 'lost' ? `${title} · ${whyOf(t, mark, hosts)}` : title;
    },
    [t, hosts],
  );
}
