import { Tooltip, theme } from 'antd';
import { useTranslation } from 'react-i18next';
import type { CompletenessState, Series } from '@/api/types';
import { named, shortTime } from '@/parts/format';
import { useNow } from '@/parts/TimeText';
import { STATES, collected, stretches, type Marks } from './series';

interface Props {
  marks: Marks[];
  series: Series[];
  from: number;
  until: number;
  stepMs: number;
  /** The names of agents by id. */
  hosts: Map<string, string>;
}

/** Under a chart, on its time axis: which of its minutes are complete, partial, revised. */
export function CompletenessStrip({ marks, series, from, until, stepMs, hosts }: Props) {
  const { t, i18n } = useTranslation();
  const { token } = theme.useToken();
  const colours: Record<CompletenessState, string> = { complete: token.colorSuccess, partial: token.colorWarning, revised: token.colorInfo, in_progress: token.colorTextQuaternary, never: token.colorWarningActive };
  const waited = collected(marks, series);
  const count = (state: CompletenessState) => waited.filter((mark) => mark.state === state).length;
  const summary = STATES.map((state) => `${t(`completeness.${state}`)} ${count(state)}`).join(', ');
  const share = (length: number) => `${(100 * length) / (until - from)}%`;
  const time = (at: number) => shortTime(at, now, i18n.language);
  const now = useNow();
  const found = stretches(waited, stepMs);

  return (
    <div data-testid="completeness-strip">
      <div className="strip" role="img" aria-label={`${t('completeness.title')}: ${summary}`} style={{ background: token.colorFillSecondary }}>
        {found.map((stretch, index) => {
          const gap = Math.max(0, stretch.from - (found[index - 1]?.to ?? from));
          const missing = named(stretch.missing.map((agent) => hosts.get(agent) ?? agent), stretch.missingCount);
          return (
            <Tooltip key={stretch.from} title={`${time(stretch.from)} – ${time(stretch.to)} ${t(`completeness.${stretch.state}`)}${missing ? ` · ${t('completeness.missing', { agents: missing })}` : ''}${stretch.reason ? ` · ${t(`completeness.reason.${stretch.reason}`)}` : ''}`}>
              <span style={{ marginInlineStart: share(gap), width: share(stretch.to - stretch.from), background: colours[stretch.state], opacity: stretch.state === 'complete' ? 0.55 : 1 }} />
            </Tooltip>
          );
        })}
      </div>
      <div className="row" style={{ gap: 14, marginTop: 6, fontSize: 12 }}>
        {STATES.filter((state) => state === 'complete' || count(state) > 0).map((state) => (
          <span key={state}>
            <span aria-hidden style={{ display: 'inline-block', width: 10, height: 10, borderRadius: 2, background: colours[state], marginInlineEnd: 4 }} />
            {t(`completeness.${state}`)} {count(state)}
          </span>
        ))}
        {waited.length < marks.length && (
          <span>
            <span aria-hidden style={{ display: 'inline-block', width: 10, height: 10, borderRadius: 2, background: token.colorFillSecondary, marginInlineEnd: 4 }} />
            {t('completeness.nobody')} {marks.length - waited.length}
          </span>
        )}
      </div>
    </div>
  );
}
