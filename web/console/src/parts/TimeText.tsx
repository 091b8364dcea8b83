import { Tooltip } from 'antd';
import { useSyncExternalStore } from 'react';
import { useTranslation } from 'react-i18next';
import { absoluteTime, relativeTime } from './format';

const TICK = 10_000;

function every(length: number) {
  return (changed: () => void) => {
    const timer = setInterval(changed, length);
    return () => clearInterval(timer);
  };
}

const everyTick = every(TICK);
const everySecond = every(1000);

/** The time, renewed every ten seconds. */
export const useNow = () => useSyncExternalStore(everyTick, () => Math.floor(Date.now() / TICK) * TICK);

/** The time, renewed every second: for what counts down. */
export const useSecond = () => useSyncExternalStore(everySecond, () => Math.floor(Date.now() / 1000) * 1000);

/** A time relative to now, with the full one on hover; or the full one with the relative one on hover. */
export function TimeText({ value, absolute = false }: { value: string | null | undefined; absolute?: boolean }) {
  const { i18n } = useTranslation();
  const now = useNow();
  if (!value) return <>–</>;
  const time = Date.parse(value);
  const full = absoluteTime(time, i18n.language);
  const relative = relativeTime(Math.abs(time - now) < TICK ? now : time, now, i18n.language);
  return (
    <Tooltip title={absolute ? relative : full}>
      <time dateTime={value} style={{ whiteSpace: 'nowrap' }}>{absolute ? full : relative}</time>
    </Tooltip>
  );
}
