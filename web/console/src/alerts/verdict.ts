/** The short answer to "why was I (not) notified?". */

import type { AlertEvent, AlertStatus, Notification } from '@/api/types';

export interface Verdict {
  key: 'sent' | 'partly' | 'pending' | 'failed' | 'stopped' | 'nobody';
  values: Record<string, number | string>;
  colour: string;
}

export function verdict(events: readonly AlertEvent[], notifications: readonly Notification[]): Verdict {
  const count = (status: Notification['status']) => notifications.filter((one) => one.status === status).length;
  const [sent, pending, failed] = [count('sent'), count('pending'), count('failed')];
  const values = { sent, pending, failed, of: notifications.length };
  if (notifications.length === 0) {
    const stopped = events.findLast(({ outcome }) => outcome === 'stopped');
    return stopped ? { key: 'stopped', values: { stage: stopped.stage }, colour: 'orange' } : { key: 'nobody', values, colour: 'default' };
  }
  if (sent === notifications.length) return { key: 'sent', values, colour: 'green' };
  if (pending > 0) return { key: 'pending', values, colour: 'blue' };
  return sent > 0 ? { key: 'partly', values, colour: 'orange' } : { key: 'failed', values, colour: 'red' };
}

/** The change of the alert that a message tells of. */
export function changeOf({ payload }: Pick<Notification, 'payload'>): AlertStatus | undefined {
  const change: unknown = typeof payload === 'object' && payload !== null && 'change' in payload ? payload.change : undefined;
  return change === 'firing' || change === 'recovered' || change === 'closed' ? change : undefined;
}

export function outcomeColour(outcome: string): string {
  switch (outcome) {
    case 'sent':
    case 'recovered':
      return 'green';
    case 'fired':
    case 'reminded':
    case 'failed':
      return 'red';
    case 'stopped':
    case 'retry':
    case 'delayed':
      return 'orange';
    default:
      return 'blue';
  }
}
