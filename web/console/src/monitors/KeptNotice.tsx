import { Alert, Button } from 'antd';
import { useTranslation } from 'react-i18next';
import type { Windows } from '@/api/types';
import { absoluteTime } from '@/parts/format';
import { longerStep, type Step } from './figures';

interface Props {
  windows: Windows;
  /** The step that was asked for. */
  step: Step;
  onStep: (step: Step) => void;
}

/** Where windows as fine as the step are not kept any more, since when they are, and the step that may show what was before. */
export function KeptNotice({ windows, step, onStep }: Props) {
  const { t, i18n } = useTranslation();
  if (!windows.keptFrom) return null;
  const longer = longerStep(step.ms);
  return (
    <Alert
      type="info"
      showIcon
      title={t('kept.from', { time: absoluteTime(Date.parse(windows.keptFrom), i18n.language), step: t(`step.${step.text}`) })}
      description={longer && (
        <span className="row">
          {t('kept.help')}
          <Button size="small" onClick={() => onStep(longer)} data-testid="kept-longer">{t('kept.show', { step: t(`step.${longer.text}`) })}</Button>
        </span>
      )}
      style={{ marginBottom: 8 }}
      data-testid="kept-from"
    />
  );
}
