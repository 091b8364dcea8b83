import { Alert } from 'antd';
import { useTranslation } from 'react-i18next';
import type { Metadata } from '@/api/types';
import { Nothing } from '@/parts/Page';
import { useSecond } from '@/parts/TimeText';
import { firstFiguresAt } from './beginning';

/** How many seconds there are until the first figures, nothing when they are due. */
export function useSecondsToFigures(metadata: Metadata, widthMs: number): number | undefined {
  const now = useSecond();
  const due = firstFiguresAt(metadata, widthMs);
  return due !== undefined && due > now ? Math.ceil((due - now) / 1000) : undefined;
}

/** Instead of figures that are not there yet, in a line. */
export function BeginningText({ metadata, widthMs }: { metadata: Metadata; widthMs: number }) {
  const { t } = useTranslation();
  const seconds = useSecondsToFigures(metadata, widthMs);
  return <span className="muted" data-testid={`beginning-${metadata.name}`}>{seconds === undefined ? t('monitor.noFigures') : t('monitor.firstIn', { seconds })}</span>;
}

/** The same on the monitor's page, with what to do when nothing comes. */
export function Beginning({ metadata, widthMs }: { metadata: Metadata; widthMs: number }) {
  const { t } = useTranslation();
  const seconds = useSecondsToFigures(metadata, widthMs);
  if (seconds === undefined) return <Nothing title={t('monitor.noFigures')} help={t('monitor.noFiguresHelp')} />;
  return <Alert type="info" showIcon title={t('monitor.firstIn', { seconds })} description={t('monitor.firstHelp')} style={{ marginBottom: 8 }} data-testid="beginning" />;
}
