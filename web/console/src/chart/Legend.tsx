import { Button } from 'antd';
import { useTranslation } from 'react-i18next';
import { isWhole } from './completeness';
import type { ChartSeries } from './model';

interface Props {
  series: readonly ChartSeries[];
  hidden: ReadonlySet<string>;
  colours: ReadonlyMap<string, string>;
  write: (value: number | null) => string;
  onChange: (hidden: ReadonlySet<string>) => void;
}

/** The latest figure of a window that is whole. */
const latest = ({ points }: ChartSeries): number | null => points.findLast(({ mark, value }) => value !== null && (!mark || isWhole(mark)))?.value ?? null;

/** The series of a chart with their latest figures. A click hides or shows one; a double click shows it alone, or all again. */
export function Legend({ series, hidden, colours, write, onChange }: Props) {
  const { t } = useTranslation();
  const ids = series.map(({ id }) => id);
  const toggle = (id: string) => {
    const next = new Set(hidden);
    if (!next.delete(id)) next.add(id);
    onChange(next);
  };
  const only = (id: string) => {
    const others = ids.filter((one) => one !== id);
    const alone = !hidden.has(id) && others.every((one) => hidden.has(one));
    onChange(new Set(alone ? [] : others));
  };
  return (
    <div className="legend" role="group" aria-label={t('chart.series')} data-testid="legend">
      {series.map((one) => {
        const on = !hidden.has(one.id);
        return (
          <button key={one.id} type="button" aria-pressed={on} className="legend-item" title={`${one.name}\n${t('chart.legendHelp')}`} onClick={() => toggle(one.id)} onDoubleClick={() => only(one.id)} data-testid={`legend:${one.id}`}>
            <span aria-hidden className="swatch" style={{ background: colours.get(one.id) }} />
            <span className="legend-name">{one.name}</span>
            <span className="legend-value">{write(latest(one))}</span>
          </button>
        );
      })}
      {ids.some((id) => hidden.has(id)) && <Button type="link" size="small" onClick={() => onChange(new Set())} data-testid="legend-all">{t('chart.showAll')}</Button>}
    </div>
  );
}
