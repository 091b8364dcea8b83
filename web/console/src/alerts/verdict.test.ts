import { expect, test } from 'vitest';
import type { AlertEvent, Notification } from '@/api/types';
import { changeOf, verdict } from './verdict';

const notification = (status: Notification['status']): Notification => ({
  id: status, workspace: 'default', dedupKey: status, alert: 'a', channel: 'webhook', receiver: 'w', status, attempts: 1, createdAt: '', nextAttemptAt: '', payload: null,
});
const event = (outcome: string, stage = 'route'): AlertEvent => ({ at: '', alert: 'a', stage, outcome, reason: '' });

test('all told', () => expect(verdict([], [notification('sent'), notification('sent')]).key).toBe('sent'));
test('some told, some given up', () => expect(verdict([], [notification('sent'), notification('failed')])).toMatchObject({ key: 'partly', values: { sent: 1, of: 2 } }));
test('still trying', () => expect(verdict([], [notification('failed'), notification('pending')]).key).toBe('pending'));
test('given up', () => expect(verdict([], [notification('failed')]).key).toBe('failed'));
test('stopped at a stage', () => expect(verdict([event('fired', 'evaluate'), event('stopped', 'silence')], [])).toMatchObject({ key: 'stopped', values: { stage: 'silence' } }));
test('nobody to tell', () => expect(verdict([event('fired', 'evaluate')], []).key).toBe('nobody'));
test('what a message tells of', () => {
  expect(changeOf({ payload: { form: 'mail', change: 'recovered' } })).toBe('recovered');
  expect([null, 'text', {}, { change: 'test' }].map((payload) => changeOf({ payload }))).toEqual([undefined, undefined, undefined, undefined]);
});
