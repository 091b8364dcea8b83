import { Tag, Tooltip } from 'antd';
import { useTranslation } from 'react-i18next';
import type { MonitorSpec, Resource } from '@/api/types';
import { useNow } from '@/parts/TimeText';
import { firstFiguresAt } from './beginning';
import type { Reading } from './reading';

export type Condition = Reading | 'disabled' | 'starting';

/** A monitor's condition: what agents report of it, unless it is switched off, or they had no time to yet. */
export function conditionOf({ metadata, spec }: Resource<MonitorSpec>, reading: Reading | undefined, now: number): Condition {
  if (spec.enabled === false) return 'disabled';
  const due = firstFiguresAt(metadata);
  const starting = due !== undefined && due > now;
  const found = reading ?? 'no_agent';
  return starting && found !== 'ok' ? 'starting' : found;
}

const COLOURS: Record<Condition, string> = { ok: 'green', starting: 'processing', disabled: 'default', no_agent: 'orange', no_file: 'red', not_understood: 'red', not_numbers: 'orange' };

/** Whether figures of a monitor in this condition say nothing of what was logged. */
export const readsNothing = (condition: Condition): boolean => condition === 'no_agent' || condition === 'no_file' || condition === 'not_understood';

/** Whether somebody should look at it. */
export const needsALook = (condition: Condition): boolean => readsNothing(condition) || condition === 'not_numbers';

export function useCondition(monitor: Resource<MonitorSpec>, reading: Reading | undefined): Condition {
  return conditionOf(monitor, reading, useNow());
}

export function ReadingTag({ condition }: { condition: Condition }) {
  const { t } = useTranslation();
  return (
    <Tooltip title={t(`reading.${condition}Help`)}>
      <Tag color={COLOURS[condition]} data-testid={`reading-${condition}`}>{t(`reading.${condition}`)}</Tag>
    </Tooltip>
  );
}
