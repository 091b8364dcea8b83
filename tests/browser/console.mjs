/**
 * The console in a real Chromium, against a real server and a real agent: sign in, make a monitor by
 * picking words out of a sample, see its figures. Prints `ok NAME` or `not ok NAME` for each step.
 */
import { spawn } from 'node:child_process';
import { appendFileSync, existsSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { createServer } from 'node:net';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';

const ROOT = join(import.meta.dirname, '..', '..');
const cache = process.env.XDG_CACHE_HOME || join(homedir(), '.cache');
const PROGRAMS = join(process.env.CARGO_TARGET_DIR || join(cache, 'nightjar', 'target'), 'debug');
const TOKEN = 'a-token-for-the-tests-of-nightjar';
const PASSWORD = 'correct horse';
const CHROMIUM = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(existsSync);

if (!CHROMIUM) {
  console.log('skipped: browser: Chromium is not installed');
  if (process.env.NIGHTJAR_TEST_SKIPS) appendFileSync(process.env.NIGHTJAR_TEST_SKIPS, 'browser: Chromium is not installed\n');
  process.exit(0);
}
const { chromium } = createRequire(join(ROOT, 'web', 'console', 'package.json'))('playwright-core');

const scratch = mkdtempSync(join(tmpdir(), 'nightjar-browser-'));
const logs = join(scratch, 'logs');
mkdirSync(logs);
const tradeLog = join(logs, 'trade.log');
const quietLog = join(logs, 'quiet.log');
const otherLog = join(logs, 'other.log');
writeFileSync(quietLog, '');
writeFileSync(otherLog, 'a line of another log\n');
const children = [];
let writing;

function start(name, ...command) {
  const log = openSync(join(scratch, `${name}.log`), 'a');
  const environment = Object.fromEntries(Object.entries(process.env).filter(([key]) => !key.startsWith('NIGHTJAR_')));
  const child = spawn(join(PROGRAMS, 'nightjar'), ['tethered', '--parent', String(process.pid), '--', ...command], {
    stdio: ['ignore', log, log],
    env: { ...environment, NIGHTJAR_BOOTSTRAP_TOKEN: TOKEN, NIGHTJAR_ADMIN_PASSWORD: PASSWORD },
  });
  children.push(child);
}

function freePort() {
  return new Promise((resolve, reject) => {
    const server = createServer().once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

async function until(what, seconds, attempt) {
  const deadline = Date.now() + seconds * 1000;
  let obstacle;
  while (Date.now() < deadline) {
    try {
      const found = await attempt();
      if (found) return found;
    } catch (error) {
      obstacle = error;
    }
    await new Promise((resume) => setTimeout(resume, 200));
  }
  throw new Error(`waited ${seconds} s in vain for ${what}${obstacle ? `: ${obstacle.message}` : ''}`);
}

const two = (number, width = 2) => String(number).padStart(width, '0');
function line(order, goods, cost) {
  const now = new Date();
  const day = `${now.getFullYear()}-${two(now.getMonth() + 1)}-${two(now.getDate())}`;
  const time = `${two(now.getHours())}:${two(now.getMinutes())}:${two(now.getSeconds())}.${two(now.getMilliseconds(), 3)}`;
  return `${day} ${time},${order},${goods},交易,创建,${cost},Y,\n`;
}

/** An application that keeps logging: two kinds of goods, each with a cost of its own. */
function trade() {
  let order = 2950211004;
  const write = () => appendFileSync(tradeLog, line(order++, '衣服', 40) + line(order++, 'food', 7));
  write();
  writing = setInterval(write, 250);
}

let passed = 0;
async function step(name, act) {
  try {
    await act();
    passed += 1;
    console.log(`ok ${name}`);
  } catch (error) {
    console.log(`not ok ${name}`);
    throw error;
  }
}

async function choose(page, testid, option) {
  await page.getByTestId(testid).click();
  const found = page.locator('.ant-select-dropdown:visible .ant-select-item-option').filter({ hasText: option }).first();
  await found.click();
  // A list for several stays open.
  await page.keyboard.press('Escape');
}

/** Clicks the word at `offset` of the first sample line. */
async function pick(page, offset, word, column) {
  await page.locator(`[data-testid="sample-line-0"] [data-from="${offset}"]`).click();
  await page.getByTestId('pick-selected').getByText(word, { exact: true }).waitFor();
  await page.getByTestId('suggestion-0').waitFor();
  await page.getByTestId('column-name').fill(column);
  await page.getByTestId('column-add').click();
}

/** A monitor that counts the lines of a file. */
const monitor = (name, path) => ({ kind: 'Monitor', metadata: { name }, spec: { type: 'minute', source: { log: { paths: [{ path }] } } } });

async function run(page, base, errors) {
  const headers = { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' };
  const resource = (path) => `${base}/api/v1/workspaces/default/${path}`;
  const get = async (path) => (await fetch(resource(path), { headers })).json();
  const put = async (plural, document) => {
    const answer = await fetch(resource(`${plural}/${document.metadata.name}`), { method: 'PUT', headers, body: JSON.stringify(document) });
    if (!answer.ok) throw new Error(await answer.text());
  };

  await step('sign in', async () => {
    await page.goto(base);
    await page.getByTestId('login-name').fill('admin');
    await page.getByTestId('login-password').fill('wrong password');
    await page.getByTestId('login-submit').click();
    await page.getByTestId('login-error').waitFor();
    // The refused attempt is an error in the browser's own console, and rightly so.
    errors.length = 0;
    await page.getByTestId('login-password').fill(PASSWORD);
    await page.getByTestId('login-submit').click();
    await page.getByTestId('nav-monitors').waitFor();
  });

  await step('read real lines from a host', async () => {
    await page.getByTestId('nav-monitors').click();
    await page.getByTestId('monitor-create').first().click();
    await page.getByTestId('metadata.name').fill('picked');
    await choose(page, 'sample-agent', 'trade');
    await page.getByTestId('sample-path').fill(join(logs, 'any'));
    await page.getByTestId('sample-browse').click();
    await page.getByTestId(`file:${tradeLog}`).click();
    await page.getByTestId('sample-line-0').waitFor();
  });

  await step('pick words out of a line', async () => {
    const text = await page.getByTestId('sample-line-0').textContent();
    const goods = text.split(',')[2];
    await pick(page, text.indexOf(`,${goods},`) + 1, goods, 'goods');
    const cost = text.split(',')[5];
    await pick(page, text.indexOf(`,${cost},Y`) + 1, cost, 'cost');
    await choose(page, 'group-by', 'goods');
    await page.getByTestId('stat-add').click();
    await page.getByTestId('stat-name-1').fill('cost_avg');
  });

  await step('try before saving', async () => {
    await page.getByTestId('try-lines').click();
    const rows = page.getByTestId('trial-rows');
    await rows.getByText('衣服').first().waitFor();
    await rows.getByText('food').first().waitFor();
  });

  await step('save, and see the figures', async () => {
    await page.getByTestId('document-save').click();
    await page.waitForURL(/monitors\/picked$/);
    const figures = page.getByTestId('figures');
    const row = (goods, cost) => figures.locator('tr').filter({ hasText: goods }).filter({ hasText: cost }).first();
    await row('衣服', '40').waitFor({ timeout: 60_000 });
    await row('food', '7').waitFor({ timeout: 60_000 });
    await page.getByTestId('chart').first().waitFor();
  });

  await step('a minute becomes complete', async () => {
    const from = new Date(Date.now() - 600_000).toISOString();
    // The first minute that waits for the agent is the next one: at worst it ends two minutes from now.
    await until('a complete minute', 150, async () => {
      const url = `${base}/api/v1/workspaces/default/monitors/picked/windows?from=${from}`;
      const answer = await (await fetch(url, { headers: { authorization: `Bearer ${TOKEN}` } })).json();
      return answer.completeness.some(({ state }) => state === 'complete');
    });
    await page.getByTestId('completeness-complete').first().waitFor({ timeout: 30_000 });
  });

  await step('what is in progress is no outage', async () => {
    const states = () => page.getByTestId('completeness-strip').locator('[data-state]').evaluateAll((parts) => parts.map((part) => part.getAttribute('data-state')));
    await until('the minute in progress at the end of the strip', 30, async () => (await states()).at(-1) === 'open');
    if ((await states()).includes('missing')) throw new Error(`nobody is missing, and the strip says so: ${await states()}`);
  });

  await step('choosing a sample leaves the monitored path as it is', async () => {
    await page.goto(`${base}/w/default/monitors/picked/edit`);
    await choose(page, 'sample-agent', 'trade');
    await page.getByTestId('sample-browse').click();
    await page.getByTestId(`file:${otherLog}`).click();
    await page.getByTestId('sample-line-0').filter({ hasText: 'another log' }).waitFor();
    await page.getByTestId('sample-apart').waitFor();
    const monitored = await page.getByTestId('path-0').inputValue();
    if (monitored !== tradeLog) throw new Error(`it monitors ${monitored} now`);
  });

  await step('a healthy zero is a flat 0, complete', async () => {
    await put('monitors', monitor('quiet', quietLog));
    // For the next step, which would have to wait for its first figures as long.
    const babel = monitor('babel', otherLog);
    babel.spec.source.log.start = 'beginning';
    await put('monitors', babel);
    await page.goto(`${base}/w/default/monitors/quiet`);
    await page.getByTestId('beginning').waitFor();
    const zero = page.getByTestId('figures').locator('tr').filter({ has: page.getByTestId('completeness-complete') }).first();
    await zero.waitFor({ timeout: 200_000 });
    const figures = await zero.locator('td.figure').allTextContents();
    if (figures.join() !== '0') throw new Error(`the complete minute shows ${figures}`);
    await page.getByTestId('chart').waitFor();
    await page.getByTestId('nav-monitors').click();
    await page.getByTestId('last-minute-quiet').getByTestId('completeness-complete').waitFor();
  });

  await step('a log that is not understood is told so, with a line and the minute', async () => {
    await page.getByTestId('reading-not_understood').waitFor({ timeout: 60_000 });
    await page.getByTestId('reading-why-babel').getByText('a line of another log').waitFor({ timeout: 60_000 });
    await page.goto(`${base}/w/default/monitors/babel`);
    await page.getByTestId('reading-notice').getByText('a line of another log').waitFor();
    await page.getByTestId('blind-strip').waitFor();
  });

  await step('a document renamed in its YAML overwrites no other', async () => {
    await put('monitors', monitor('ux-a', quietLog));
    await put('monitors', monitor('ux-b', tradeLog));
    await page.goto(`${base}/w/default/monitors/ux-a/edit`);
    await page.getByTestId('tab-yaml').click();
    const yaml = page.getByTestId('yaml');
    const rename = async (from, to) => yaml.fill((await yaml.inputValue()).replace(`name: ${from}`, `name: ${to}`));
    await rename('ux-a', 'ux-b');
    await page.getByTestId('document-save').click();
    await page.getByTestId('failure').getByText('ux-a').first().waitFor();
    await page.getByTestId('save-copy').click();
    await page.getByTestId('failure').getByText('ux-b').first().waitFor();
    // The refused attempt is an error in the browser's own console, and rightly so.
    errors.length = 0;
    await rename('ux-b', 'ux-c');
    await page.getByTestId('save-copy').click();
    await page.waitForURL(/monitors\/ux-c$/);
    const stored = await Promise.all(['ux-a', 'ux-b', 'ux-c'].map((name) => get(`monitors/${name}`)));
    const found = stored.map(({ metadata, spec }) => `${metadata.name} ${metadata.version} ${spec.source.log.paths[0].path}`);
    const right = [`ux-a 1 ${quietLog}`, `ux-b 1 ${tradeLog}`, `ux-c 1 ${quietLog}`];
    if (found.join() !== right.join()) throw new Error(`stored: ${found}`);
  });

  await step('a Top is a table of its keys, the greatest first', async () => {
    const columns = [{ name: 'goods', pick: { split: { by: ',', index: 2 } } }, { name: 'cost', pick: { split: { by: ',', index: 5 } }, number: true }];
    const stats = [{ name: 'count', fn: 'lines' }, { name: 'cost_sum', fn: 'sum', column: 'cost' }];
    const spec = { type: 'minute_top', source: { log: { paths: [{ path: tradeLog }], start: 'beginning' } }, columns, group_by: ['goods'], stats, top: { n: 5, by: 'cost_sum' } };
    await put('monitors', { kind: 'Monitor', metadata: { name: 'top' }, spec });
    await until('the Top', 30, async () => (await get('monitors/top/windows')).top?.windows.length > 0);
    await page.goto(`${base}/w/default/monitors/top`);
    await page.getByTestId('top-exact').waitFor();
    const rows = page.getByTestId('top-table').locator('tbody tr.ant-table-row');
    await rows.nth(1).waitFor();
    const goods = await rows.locator('td:nth-child(2)').allTextContents();
    if (goods.join() !== '衣服,food') throw new Error(`ranked: ${goods}`);
  });

  await step('the browser saw no errors', async () => {
    if (errors.length > 0) throw new Error(errors.join('\n'));
  });
}

let browser;
let page;
try {
  const [http, agents] = [await freePort(), await freePort()];
  const base = `http://127.0.0.1:${http}`;
  start('server', join(PROGRAMS, 'nightjar'), 'server', '--data-dir', join(scratch, 'server'), '--http', `127.0.0.1:${http}`, '--agents', `127.0.0.1:${agents}`);
  await until('the server', 60, async () => (await fetch(`${base}/-/ready`)).ok);
  const made = await fetch(`${base}/api/v1/workspaces/default/enrolment-tokens`, {
    method: 'POST',
    headers: { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' },
    body: JSON.stringify({ note: 'browser', uses: 1 }),
  });
  const { token } = await made.json();
  start('agent', join(PROGRAMS, 'nightjar-agent'), 'run', '--server', `http://127.0.0.1:${agents}`, '--token', token, '--data-dir', join(scratch, 'agent'), '--label', 'app=trade');
  trade();
  await until('the agent', 30, async () => {
    const answer = await fetch(`${base}/api/v1/workspaces/default/agents`, { headers: { authorization: `Bearer ${TOKEN}` } });
    return (await answer.json()).items.some(({ health }) => health === 'healthy');
  });

  browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox'] });
  page = await browser.newPage({ viewport: { width: 1280, height: 900 }, locale: 'zh-CN' });
  page.setDefaultTimeout(20_000);
  const errors = [];
  page.on('console', (message) => message.type() === 'error' && errors.push(message.text()));
  page.on('pageerror', (error) => errors.push(error.message));
  await run(page, base, errors);
} catch (error) {
  process.exitCode = 1;
  console.error(error.stack ?? error);
  if (passed === 0) console.log('not ok start');
  if (page) {
    const photograph = join(tmpdir(), 'nightjar-browser-failure.png');
    await page.screenshot({ path: photograph, fullPage: true }).then(() => console.error(`a photograph of the page: ${photograph}`), () => {});
  }
  for (const name of ['server', 'agent']) {
    const log = join(scratch, `${name}.log`);
    if (existsSync(log)) console.error(`--- end of the ${name}'s log\n${readFileSync(log, 'utf8').split('\n').slice(-25).join('\n')}`);
  }
} finally {
  clearInterval(writing);
  await browser?.close();
  for (const child of children) child.kill('SIGKILL');
  rmSync(scratch, { recursive: true, force: true, maxRetries: 5 });
}
