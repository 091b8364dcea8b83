// @vitest-environment jsdom
import { screen } from '@testing-library/react';
import { expect, test } from 'vitest';
import { show } from '@/testing/render';
import { serve } from '@/testing/server';
import { Component as AlertPage } from './AlertPage';

interface Told {
  rule: string;
  monitor: string;
  keys: Record<string, string>;
}

/** Where the page of an alert leads, by the words of its links. */
async function links(told: Told, language: 'en-US' | 'zh-CN' = 'en-US') {
  const alert = { id: 'a', workspace: 'default', ruleTitle: 'Title', level: 'P1', status: 'firing', summary: 's', startedAt: '2026-01-31T12:00:00Z', endedAt: null, values: {}, ...told };
  serve({ 'GET /workspaces/default/alerts/a': () => ({ alert, events: [], notifications: [] }) });
  show(<AlertPage />, { at: 'alerts/a', route: 'alerts/:id', language });
  await screen.findByText('Title');
  return Object.fromEntries([...document.querySelectorAll('.ant-descriptions a')].map((one) => [one.textContent, one.getAttribute('href')]));
}

test('a rule of somebody leads to it and to its monitor', async () => {
  const told = { rule: 'slow', monitor: 'trade', keys: { agent: 'x', host: 'y' } };
  expect(await links(told)).toEqual({ slow: '/w/default/alert-rules/slow', trade: '/w/default/monitors/trade' });
});

test.each(['_agent-lost', '_agent-unwell'])('%s leads to its agent, and nowhere that is not', async (rule) => {
  expect(await links({ rule, monitor: '_agents', keys: { agent: 'a1', host: 'trade-1' } })).toEqual({ 'trade-1': '/w/default/agents?id=a1' });
  expect(screen.getByText(rule, { exact: false }).textContent).toBe(`${rule} (built in)`);
});

test('_blind leads to the monitor whose rules are blind', async () => {
  expect(await links({ rule: '_blind', monitor: 'trade', keys: { monitor: 'trade' } }, 'zh-CN')).toEqual({ trade: '/w/default/monitors/trade' });
  expect(screen.getByText('_blind', { exact: false }).textContent).toBe('_blind (内置)');
});
