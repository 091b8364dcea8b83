/** Levels, states and keys as coloured words; colour never says anything alone. */

import { Tag, Tooltip } from 'antd';
import { useTranslation } from 'react-i18next';
import type { AgentHealth, AlertStatus, Level } from '@/api/types';
import { shownAs, type WindowMark } from '@/chart/completeness';
import { titleOf, whyOf } from '@/chart/words';

export const LEVEL_COLOURS: Record<Level, string> = { P0: 'red', P1: 'orange', P2: 'gold', P3: 'blue', P4: 'default' };

export function LevelTag({ level }: { level: Level }) {
  return <Tag color={LEVEL_COLOURS[level]}>{level}</Tag>;
}

export const HEALTH_COLOURS: Record<AgentHealth, string> = { healthy: 'green', abnormal: 'red', clock_skew: 'orange', lost: 'default', left: 'default' };

export function HealthTag({ health, reasons = [] }: { health: AgentHealth; reasons?: string[] }) {
  const { t } = useTranslation();
  return <Tooltip title={reasons.join('; ')}><Tag color={HEALTH_COLOURS[health]}>{t(`health.${health}`)}</Tag></Tooltip>;
}

export function AlertStatusTag({ status }: { status: AlertStatus }) {
  const { t } = useTranslation();
  const colours = { firing: 'red', recovered: 'green', closed: 'default' };
  return <Tag color={colours[status]}>{t(`alertStatus.${status}`)}</Tag>;
}

export function NotificationStatusTag({ status }: { status: 'pending' | 'sent' | 'failed' }) {
  const { t } = useTranslation();
  const colours = { pending: 'blue', sent: 'green', failed: 'red' };
  return <Tag color={colours[status]}>{t(`notificationStatus.${status}`)}</Tag>;
}

const NO_HOSTS: ReadonlyMap<string, string> = new Map();

/** How far a window can be trusted. Only what somebody fails to tell warns. */
export function CompletenessTag({ mark, hosts = NO_HOSTS }: { mark: WindowMark; hosts?: ReadonlyMap<string, string> }) {
  const { t } = useTranslation();
  const colours = { complete: 'green', revised: 'blue', missing: 'orange', lost: 'orange', open: 'default', uncollected: 'default' };
  const shown = shownAs(mark);
  return (
    <Tooltip title={whyOf(t, mark, hosts)}>
      <Tag color={colours[shown]} variant={shown === 'lost' || shown === 'open' ? 'outlined' : undefined} style={shown === 'lost' || shown === 'open' ? { borderStyle: 'dashed' } : undefined} data-testid={`completeness-${mark.state}`}>{titleOf(t, shown)}</Tag>
    </Tooltip>
  );
}

export function EnabledTag({ enabled }: { enabled: boolean }) {
  const { t } = useTranslation();
  return <Tag color={enabled ? 'green' : 'default'}>{t(enabled ? 'state.enabled' : 'state.disabled')}</Tag>;
}

export function KeyTags({ keys }: { keys: Record<string, string> }) {
  const entries = Object.entries(keys);
  if (entries.length === 0) return <span className="muted">–</span>;
  return (
    <span className="row" style={{ gap: 4 }}>
      {entries.map(([key, value]) => <Tag key={key} style={{ marginInlineEnd: 0, whiteSpace: 'normal', overflowWrap: 'anywhere' }}>{key}={value}</Tag>)}
    </span>
  );
}
