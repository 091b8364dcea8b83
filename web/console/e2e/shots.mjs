/**
 * Photographs the pages against the mock, in several sizes and colours, into e2e/shots; fails on any
 * error in the browser's console. `npm run build`, then `node e2e/shots.mjs [page…]`.
 */
import { spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { chromium } from 'playwright-core';

const PORT = process.env.PORT ?? '9799';
const SHOTS = join(import.meta.dirname, 'shots');
const PAGES = ['overview', 'monitors', 'monitors/trade-create', 'monitors/trade-create/edit', 'monitors/trade-service', 'monitors/trade-service-goods', 'monitors/trade-live', 'monitors/quiet', 'monitors/just-made', 'monitors/nginx', 'monitors/babel', 'alert-rules', 'alert-rules/trade-slow', 'alerts', 'alerts/al0', 'subscriptions', 'webhooks', 'agents', 'agents?id=a1', 'sql', 'users', 'tokens', 'audit'];
const VIEWS = [
  { name: 'wide', width: 1280, height: 800, scheme: 'light', language: 'zh-CN' },
  { name: 'dark', width: 1280, height: 800, scheme: 'dark', language: 'en-US' },
  { name: 'dark-zh', width: 1280, height: 800, scheme: 'dark', language: 'zh-CN' },
  { name: 'phone', width: 390, height: 844, scheme: 'light', language: 'en-US' },
];

const mock = spawn(process.execPath, [join(import.meta.dirname, 'mock.mjs')], { env: { ...process.env, PORT, SIGNED_IN: '1' }, stdio: ['ignore', 'pipe', 'inherit'] });
await new Promise((ready) => mock.stdout.once('data', ready));
mkdirSync(SHOTS, { recursive: true });
const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox'] });
const errors = [];
try {
  const wanted = process.argv.slice(2);
  for (const view of VIEWS) {
    const context = await browser.newContext({ viewport: { width: view.width, height: view.height }, colorScheme: view.scheme, locale: view.language });
    const page = await context.newPage();
    page.on('console', (message) => message.type() === 'error' && errors.push(`${view.name} ${page.url()}: ${message.text()}`));
    page.on('pageerror', (error) => errors.push(`${view.name} ${page.url()}: ${error.message}`));
    for (const path of wanted.length > 0 ? wanted : PAGES) {
      await page.goto(`http://127.0.0.1:${PORT}/w/default/${path}`, { waitUntil: 'networkidle' });
      const overflow = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      if (overflow > 0) errors.push(`${view.name} ${path}: ${overflow}px wider than the screen`);
      await page.screenshot({ path: join(SHOTS, `${path.replace(/[/?=]/g, '_')}.${view.name}.png`), fullPage: true });
    }
    await context.close();
  }
} finally {
  await browser.close();
  mock.kill();
}
for (const error of new Set(errors)) console.log(error);
process.exitCode = errors.length > 0 ? 1 : 0;
