/**
 * Figures over time: a line for each key, a legend that can hide some, and on the same axis how far each
 * window can be trusted. Which keys are hidden, and their colours, outlast a refresh.
 */

import { useMemo, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { Chart } from '@/parts/Chart';
import { absoluteTime, shortTime } from '@/parts/format';
import { useAppearance } from '@/shell/appearance';
import { BlindStrip } from './BlindStrip';
import { CompletenessStrip } from './CompletenessStrip';
import { useColours } from './colours';
import { Legend } from './Legend';
import { useLook } from './look';
import type { ChartModel } from './model';
import { optionOf, SIDES } from './option';
import { tooltipHtml, tooltipOf } from './tooltip';
import { useStateText } from './words';

interface Props {
  /** What the colours are remembered under: the same for the same keys. */
  name: string;
  model: ChartModel;
  /** What it is of, for those who cannot see it. */
  label: string;
  /** The names of agents by id. */
  hosts: ReadonlyMap<string, string>;
  height?: number;
  /** Without, where another chart of the same windows stands below. */
  strip?: boolean;
}

const NO_ONE: ReadonlySet<string> = new Set();

export function TimeChart({ name, model, label, hosts, height = 300, strip = true }: Props) {
  const { t, i18n } = useTranslation();
  const { dark } = useAppearance();
  const [hidden, setHidden] = useState(NO_ONE);
  const colours = useColours(name, model.series, dark);
  const look = useLook(colours);
  const stateText = useStateText(hosts);
  const language = i18n.language;

  const option = useMemo(() => {
    const words = {
      title: (time: number) => (model.stepMs <= 60_000 ? absoluteTime(time, language) : `${absoluteTime(time, language)} – ${shortTime(time + model.stepMs, time, language)}`),
      state: stateText,
      blind: (reason: string) => `${t('blind.title')} · ${t(`blind.${reason}`)}`,
      more: (count: number) => t('chart.more', { count }),
    };
    return optionOf({ model, hidden, look, tooltip: (time) => tooltipHtml(tooltipOf(model, hidden, colours, time, words)) });
  }, [model, hidden, look, colours, stateText, language, t]);

  return (
    <>
      <Chart option={option} height={height} label={label} />
      {strip && <div style={{ marginInlineStart: SIDES.left, marginInlineEnd: SIDES.right }}>
        <CompletenessStrip marks={model.marks} from={model.from} until={model.until} stepMs={model.stepMs} hosts={hosts} />
        <BlindStrip blind={model.blind ?? []} from={model.from} until={model.until} />
      </div>}
      {model.series.length > 1 && <Legend series={model.series} hidden={hidden} colours={colours} write={model.write} onChange={setHidden} />}
    </>
  );
}
