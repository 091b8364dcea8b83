import { theme, Tooltip } from 'antd';
import { useTranslation } from 'react-i18next';
import { shortTime } from '@/parts/format';
import { useNow } from '@/parts/TimeText';
import type { BlindStretch } from './blind';

interface Props {
  blind: readonly BlindStretch[];
  from: number;
  until: number;
}

/** So many are told of in words, the newest; each is told of where it is pointed at. */
const TOLD = 4;

/** Under a chart, on its time axis: when its figures say nothing of what was logged, and why. Nothing where there is no such time. */
export function BlindStrip({ blind, from, until }: Props) {
  const { t, i18n } = useTranslation();
  const { token } = theme.useToken();
  const now = useNow();
  if (blind.length === 0) return null;
  const share = (length: number) => `${(100 * length) / (until - from)}%`;
  const time = (at: number) => shortTime(at, now, i18n.language);
  const words = blind.map((one) => {
    const why = t(`blind.${one.reason}`);
    return one.until > now ? t('blind.since', { from: time(one.from), why }) : t('blind.stretch', { from: time(one.from), until: time(one.until), why });
  });

  return (
    <div data-testid="blind-strip" style={{ marginTop: 6 }}>
      <div className="strip" aria-hidden>
        {blind.map((one, index) => (
          <Tooltip key={one.from} title={words[index]}>
            <span style={{ marginInlineStart: share(one.from - (blind[index - 1]?.until ?? from)), width: share(one.until - one.from), background: token.colorError }} />
          </Tooltip>
        ))}
      </div>
      <div className="row legend-states">
        <span>
          <span aria-hidden className="swatch" style={{ background: token.colorError }} />
          <strong>{t('blind.title')}</strong>
        </span>
        {blind.length > TOLD && <span className="muted">{t('blind.earlier', { count: blind.length - TOLD })}</span>}
        {words.slice(-TOLD).map((text) => <span key={text}>{text}</span>)}
      </div>
    </div>
  );
}
