import { Tooltip } from 'antd';
import { useTranslation } from 'react-i18next';
import { shortTime } from '@/parts/format';
import { useNow } from '@/parts/TimeText';
import { shownAs, stretches, type Shown, type WindowMark } from './completeness';
import { useFills } from './look';
import { titleOf, useStateText } from './words';

interface Props {
  marks: readonly WindowMark[];
  from: number;
  until: number;
  stepMs: number;
  /** The names of agents by id. */
  hosts: ReadonlyMap<string, string>;
}

const ORDER: readonly Shown[] = ['complete', 'revised', 'missing', 'lost', 'open', 'uncollected'];

/** Under a chart, on its time axis: how far each of its windows can be trusted. */
export function CompletenessStrip({ marks, from, until, stepMs, hosts }: Props) {
  const { t, i18n } = useTranslation();
  const fills = useFills();
  const stateText = useStateText(hosts);
  const now = useNow();
  const counts = new Map<Shown, number>();
  for (const mark of marks) counts.set(shownAs(mark), (counts.get(shownAs(mark)) ?? 0) + 1);
  const present = ORDER.filter((shown) => counts.has(shown));
  const share = (length: number) => `${(100 * length) / (until - from)}%`;
  const time = (at: number) => shortTime(at, now, i18n.language, { seconds: stepMs < 60_000 });
  const found = stretches(marks, stepMs);

  return (
    <div data-testid="completeness-strip">
      <div className="strip" role="img" aria-label={`${t('completeness.title')}: ${present.map((shown) => `${titleOf(t, shown)} ${counts.get(shown) ?? 0}`).join(', ')}`}>
        {found.map(({ from: start, until: end, mark }, index) => (
          <Tooltip key={start} title={`${time(start)} – ${time(end)} · ${stateText(mark)}`}>
            <span
              data-state={shownAs(mark)}
              style={{ marginInlineStart: share(Math.max(0, start - (found[index - 1]?.until ?? from))), width: share(end - start), background: fills[shownAs(mark)], opacity: shownAs(mark) === 'complete' ? 0.55 : 1 }}
            />
          </Tooltip>
        ))}
      </div>
      <div className="row legend-states">
        {present.map((shown) => (
          <span key={shown}>
            <span aria-hidden className="swatch" style={{ background: fills[shown] }} />
            {titleOf(t, shown)} {counts.get(shown)}
          </span>
        ))}
      </div>
    </div>
  );
}
