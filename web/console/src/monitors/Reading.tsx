/** What a monitor makes of its log, in words: a tag, why it is so, and a notice above worthless figures. */

import { Alert as Notice, Tag, Tooltip } from 'antd';
import { useTranslation } from 'react-i18next';
import type { MonitorSpec, Reading, Resource } from '@/api/types';
import { figure, percent } from '@/parts/format';
import { useNow } from '@/parts/TimeText';
import { conditionOf, isBlind, needsALook, type Condition } from './condition';

const COLOURS: Record<Condition, string> = { reading: 'green', quiet: 'default', starting: 'processing', off: 'default', no_agent: 'orange', hardly_understood: 'orange', not_numbers: 'orange', no_file: 'red', not_understood: 'red' };

export function useCondition(monitor: Resource<MonitorSpec>, reading: Reading | undefined | null): Condition | undefined {
  return conditionOf(monitor, reading?.state, useNow());
}

interface Props {
  condition: Condition | undefined;
  reading: Reading | undefined | null;
}

export function ReadingTag({ condition, reading }: Props) {
  const { t } = useTranslation();
  const share = useShare(condition, reading);
  if (!condition) return null;
  return (
    <Tooltip title={<>{t(`reading.${condition}Help`)}{share && <div>{share}</div>}</>}>
      <Tag color={COLOURS[condition]} data-testid={`reading-${condition}`}>{t(`reading.${condition}`)}</Tag>
    </Tooltip>
  );
}

/** Why lines are not understood, and one of them; nothing where most are. In a list they are kept short. */
export function ReadingWhy({ condition, reading, short = false }: Props & { short?: boolean }) {
  const { t } = useTranslation();
  if (!needsALook(condition) || !reading?.reason) return null;
  const { reason, example } = reading;
  const why = t(`fault.${reason}`, { defaultValue: reason });
  return (
    <div className={short ? 'reading-why short' : 'reading-why'} data-testid={`reading-why-${reading.monitor}`}>
      <div>{short ? why : t('reading.why', { reason: why })}</div>
      {example && <div className="mono" title={example}>{example}</div>}
    </div>
  );
}

/** What is amiss, above the figures that it makes worthless; nothing where all is well. */
export function ReadingNotice({ condition, reading }: Props) {
  const { t } = useTranslation();
  const share = useShare(condition, reading);
  if (!condition || !needsALook(condition)) return null;
  return (
    <Notice
      className="span-12"
      type={isBlind(condition) ? 'error' : 'warning'}
      showIcon
      title={t(`reading.${condition}`)}
      description={<>{t(`reading.${condition}Help`)}{share && <div>{share}</div>}<ReadingWhy condition={condition} reading={reading} /></>}
      data-testid="reading-notice"
    />
  );
}

/** How many lines came, and how many of them were understood; nothing where it would not fit the condition. */
function useShare(condition: Condition | undefined, reading: Reading | undefined | null): string | undefined {
  const { t, i18n } = useTranslation();
  if (reading?.understood == null || condition !== reading.state) return undefined;
  return t('reading.share', { lines: figure(reading.lines, i18n.language), percent: percent(reading.understood, i18n.language) });
}
