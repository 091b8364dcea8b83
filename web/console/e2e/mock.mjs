/**
 * A server for looking at the console without Nightjar: some of its API, from memory, and `dist` under
 * the Content-Security-Policy of the real one. `npm run build && npm run mock`, then admin / nightjar.
 */
import { createReadStream, existsSync } from 'node:fs';
import { createServer } from 'node:http';
import { extname, join } from 'node:path';

const DIST = join(import.meta.dirname, '..', 'dist');
const MINUTE = 60_000;
const now = () => Date.now();
const iso = (time) => new Date(time).toISOString();
const TYPES = { '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml' };

const LINES = Array.from({ length: 24 }, (_, n) =>
  `${iso(now() - n * 2500).replace('T', ' ').slice(0, 19)},trade,${['create', 'create', 'pay', 'refund'][n % 4]},${['apple', 'pear', '香蕉', 'apple'][n % 4]},${12 + ((n * 37) % 90)}.5,${n % 7 === 3 ? 'N' : 'Y'}`,
);

const stored = new Map();
function put(kind, plural, name, spec, metadata = {}) {
  stored.set(`${plural}/${name}`, { kind, metadata: { name, workspace: 'default', uid: `u-${name}`, version: 1, createdAt: iso(now() - 864e5), createdBy: 'user:admin', updatedAt: iso(now() - 36e5), updatedBy: 'user:admin', ...metadata }, spec });
}
const SOURCE = { log: { paths: [{ path: '/home/admin/logs/trade.log' }], charset: 'auto', time: { format: 'auto' }, start: 'end' } };
put('Monitor', 'monitors', 'trade-create', {
  type: 'minute_multi_key', app: 'trade', source: SOURCE,
  columns: [{ name: 'method', pick: { split: { by: ',', index: 2 } } }, { name: 'goods', pick: { split: { by: ',', index: 3 } } }, { name: 'cost', pick: { split: { by: ',', index: 4 } }, number: true }],
  filter: { include: [{ column: 'method', in: ['create'] }] }, group_by: ['goods'],
  stats: [{ name: 'count', fn: 'lines' }, { name: 'cost_avg', fn: 'avg', column: 'cost' }], limits: { max_keys: 10000 }, enabled: true,
}, { displayName: '交易创建', folder: 'trade/core', labels: { team: 'trade' } });
put('Monitor', 'monitors', 'trade-errors', { type: 'minute', app: 'trade', source: SOURCE, stats: [{ name: 'count', fn: 'lines' }], limits: { max_keys: 10000 }, enabled: true }, { folder: 'trade' });
const SERVICE = ['total', 'success', 'failure', 'success_rate', 'cost_avg'].map((name, n) => ({ name, fn: ['lines', 'success', 'failure', 'success_rate', 'avg'][n], ...(name === 'cost_avg' ? { column: 'cost' } : {}) }));
const serviceSpec = { type: 'service_metrics', app: 'trade', source: SOURCE, columns: [{ name: 'result', pick: { split: { by: ',', index: 5 } } }, { name: 'goods', pick: { split: { by: ',', index: 3 } } }, { name: 'cost', pick: { split: { by: ',', index: 4 } }, number: true }], service: { result: 'result', success: ['Y'], cost: 'cost' }, stats: SERVICE, limits: { max_keys: 10000 }, enabled: true };
put('Monitor', 'monitors', 'trade-service', serviceSpec, { displayName: '交易服务指标', folder: 'trade' });
put('Monitor', 'monitors', 'trade-service-goods', { ...serviceSpec, group_by: ['goods'] }, { folder: 'trade' });
put('Monitor', 'monitors', 'trade-live', { type: 'second', app: 'trade', source: SOURCE, stats: [{ name: 'count', fn: 'lines' }], limits: { max_keys: 10000 }, enabled: true }, { displayName: '实时交易量', folder: 'trade' });
put('Monitor', 'monitors', 'quiet', { type: 'minute', source: SOURCE, stats: [{ name: 'count', fn: 'lines' }], limits: { max_keys: 10000 }, enabled: true }, { folder: 'gateway' });
put('Monitor', 'monitors', 'just-made', { type: 'minute', source: SOURCE, stats: [{ name: 'count', fn: 'lines' }], limits: { max_keys: 10000 }, enabled: true }, { updatedAt: iso(now()) });
put('Monitor', 'monitors', 'nginx', { type: 'minute', source: { log: { paths: [{ path: '/var/log/nginx/*.log' }] } }, stats: [{ name: 'count', fn: 'lines' }], limits: { max_keys: 10000 }, enabled: true }, { folder: 'gateway' });
put('Monitor', 'monitors', 'gateway-5xx', { type: 'minute', app: 'gateway', source: SOURCE, stats: [{ name: 'count', fn: 'lines' }], limits: { max_keys: 10000 }, enabled: false }, { folder: 'gateway' });
put('Monitor', 'monitors', 'babel', { type: 'minute', source: SOURCE, stats: [{ name: 'count', fn: 'lines' }], limits: { max_keys: 10000 }, enabled: true }, { displayName: '格式不对的日志', folder: 'gateway' });
put('AlertRule', 'alert-rules', 'trade-slow', {
  monitor: 'trade-create', where: { goods: { any: true } }, level: 'P1', every: '1m', match: 'all', conditions: [{ field: 'cost_avg', take: { now: {} }, against: 'absolute', op: '>', threshold: 100 }, { field: 'count', take: { sum: '5m' }, against: 'absolute', op: '>', threshold: 50 }],
  for: { times: 2, of: 3 }, recover: { times: 2 }, no_data: 'keep', partial_data: 'wait', max_wait: '1m', enabled: true, active: [{ days: ['mon', 'fri'], from: '09:00', to: '21:00', timezone: 'Asia/Shanghai' }],
}, { displayName: '交易变慢', folder: 'trade' });
put('Contact', 'contacts', 'alice', { email: 'alice@example.com', dingtalk: { mobile: '13800000000' } }, { displayName: 'Alice' });
put('ContactGroup', 'contact-groups', 'sre', { contacts: ['alice'], robots: ['ops'] });
put('DingtalkRobot', 'dingtalk-robots', 'ops', { url: '***', secret: '***', keywords: ['告警'], at: { all: false }, max_per_minute: 20 });
put('Webhook', 'webhooks', 'hub', { url: 'https://example.com/hook', headers: { 'X-Key': '***' }, secret_key: '***', format: 'nightjar', global: false });
put('Subscription', 'subscriptions', 'all-to-sre', { to: ['sre'], target: { all: true }, levels: 'all', enabled: true });

const agent = (id, hostname, health, more = {}) => ({
  id, workspace: 'default', health, reasons: [], enrolledAt: iso(now() - 864e5), lastSeenAt: iso(now() - 3000), clockSkewMs: 12, configApplied: 'c7', configWanted: 'c7',
  facts: { hostname, ip: '10.0.0.1', version: '0.1.0', os: 'linux', arch: 'x86_64', timezone: 'Asia/Shanghai', labels: { app: 'trade', idc: 'hz' } },
  monitors: [{ monitor: 'trade-create', files: 1, lines: 18234, faults: { not_a_number: 3 }, examples: { not_a_number: '/home/admin/logs/trade.log: 2026-01-01 12:00:00,trade,create,apple,-,Y' }, watermark: iso(now() - 2000) }, ...['trade-errors', 'trade-service', 'trade-service-goods', 'trade-live', 'quiet'].map((monitor) => ({ monitor, files: 1, lines: 40, faults: {}, examples: {}, watermark: iso(now() - 2000) })), { monitor: 'nginx', files: 0, lines: 0, faults: {}, examples: {}, watermark: null }],
  process: { residentBytes: 18e6, cpuMillis: 5230, journalBytes: 4e6, journalLimitBytes: 256e6, unackedRecords: 0, paused: false }, ...more,
});
const AGENTS = [agent('a1', 'trade-1', 'healthy'), agent('a2', 'trade-2', 'clock_skew', { clockSkewMs: 4200, reasons: ['the clock is 4.2 s ahead of the server'] }), agent('a3', 'trade-3', 'lost', { lastSeenAt: iso(now() - 9e5) })];
const ALERTS = ['apple', '香蕉', 'pear'].map((goods, n) => ({ id: `al${n}`, workspace: 'default', rule: 'trade-slow', ruleTitle: '交易变慢', monitor: 'trade-create', folder: 'trade', keys: { goods }, level: ['P1', 'P0', 'P2'][n], status: n === 2 ? 'recovered' : 'firing', startedAt: iso(now() - (n + 1) * 7e5), endedAt: n === 2 ? iso(now() - 6e5) : null, summary: 'cost_avg now = 132.5 > 100; sum(count, 5m) = 61 > 50', values: { cost_avg: 132.5, count: 61 } }));
const EVENTS = [
  ['evaluate', 'fired', 'cost_avg now = 132.5 > 100 in 2 of the last 3 checks'], ['route', 'passed', 'subscription all-to-sre: group sre'], ['render', 'passed', '2 messages', 'n1'],
  ['deliver', 'retry', 'dingtalk `ops`: attempt 1: HTTP 500; again at 2026-11-20T12:00:05.250Z', 'n1'], ['deliver', 'delayed', 'email `alice`: waits behind an earlier message to the same receiver; until 2026-11-20T12:00:10Z', 'n2'], ['deliver', 'sent', 'attempt 2: errcode 0 ok', 'n1'], ['deliver', 'failed', 'attempt 1: 550 no such user', 'n2'],
].map(([stage, outcome, reason, notification], n) => ({ at: iso(now() - 6e5 + n * 900), alert: 'al0', stage, outcome, reason, notification: notification ?? null }));
const NOTES = [['n1', 'dingtalk', 'ops', 'sent', 2, '{"errcode":0,"errmsg":"ok"}'], ['n2', 'email', 'alice', 'failed', 1, '550 no such user'], ['n3', 'webhook', 'incident-desk-of-the-trade-department', 'sent', 1, '200 OK']].map(([id, channel, receiver, status, attempts, lastAnswer]) => ({ id, workspace: 'default', dedupKey: id, alert: 'al0', channel, receiver, status, attempts, createdAt: iso(now() - 6e5), nextAttemptAt: iso(now()), sentAt: status === 'sent' ? iso(now() - 59e4) : null, payload: { change: id === 'n3' ? 'recovered' : 'firing', title: '交易变慢', text: 'cost_avg = 132.5' }, lastAnswer }));

const EXAMPLE = `/home/admin/logs/trade.log: 10.0.0.1 - - "GET /a/rather/long/path/that/does/not/fit?into=a&cell=of&the=list HTTP/1.1" 200 512`;
const READINGS = {
  quiet: { state: 'quiet' },
  babel: { state: 'not_understood', lines: 689, counted: 0, understood: 0, reason: 'time_unreadable', example: EXAMPLE },
  'trade-errors': { state: 'hardly_understood', lines: 1234, counted: 150, understood: 12.2, reason: 'column_missing', example: EXAMPLE },
  nginx: { state: 'no_file', files: 0 },
  'just-made': { state: 'no_file', files: 0 },
};
const readingOf = (name, { enabled }) => ({ monitor: name, lines: 0, counted: 0, files: 2, understood: null, reason: null, example: null, ...(enabled === false ? { state: 'off' } : (READINGS[name] ?? { state: 'reading', lines: 1600, counted: 1600, understood: 100 })) });

function take(pick, line) {
  if (pick.split) return line.split(pick.split.by)[pick.split.index] ?? null;
  if (pick.between) {
    const from = pick.between.left ? line.indexOf(pick.between.left) : 0;
    if (from < 0) return null;
    const rest = line.slice(from + (pick.between.left ?? '').length);
    const to = pick.between.right ? rest.indexOf(pick.between.right) : rest.length;
    return to < 0 ? null : rest.slice(0, to);
  }
  return null;
}

function derive({ lines, selection }) {
  const chars = Array.from(lines[selection.line]);
  const word = chars.slice(selection.from, selection.to).join('');
  const before = chars.slice(0, selection.from).join('');
  const picks = [{ split: { by: ',', index: before.split(',').length - 1 } }, { between: { left: before.slice(-7), right: ',', nth: 1 } }];
  const suggestions = picks.filter((pick) => take(pick, lines[selection.line]) === word).map((pick) => {
    const yields = lines.map((line) => take(pick, line));
    return { pick, yields, distinct: new Set(yields.filter((one) => one !== null)).size };
  });
  return { suggestions };
}

function attempt({ spec, lines = LINES }) {
  const rows = new Map();
  const verdicts = lines.map((text) => {
    const columns = Object.fromEntries((spec.columns ?? []).map(({ name, pick }) => [name, take(pick, text)]).filter(([, value]) => value !== null));
    const counted = (spec.filter?.include ?? []).every((entry) => entry.in.includes(columns[entry.column])) && !(spec.filter?.exclude ?? []).some((entry) => entry.in.includes(columns[entry.column]));
    const time = `${text.slice(0, 10)}T${text.slice(11, 16)}:00Z`;
    if (counted) {
      const keys = (spec.group_by ?? []).map((name) => [name, columns[name] ?? 'trade-1']);
      const id = JSON.stringify([time, keys]);
      const row = rows.get(id) ?? { time, keys, members: [] };
      row.members.push(columns);
      rows.set(id, row);
    }
    return { text, time: `${text.slice(0, 10)}T${text.slice(11, 19)}Z`, columns, counted, reason: counted ? null : 'filtered' };
  });
  const value = ({ fn, column }, members) => {
    const numbers = members.map((one) => Number(one[column]));
    const sum = numbers.reduce((a, b) => a + b, 0);
    return { lines: members.length, sum, avg: sum / members.length, min: Math.min(...numbers), max: Math.max(...numbers) }[fn];
  };
  return { lines: verdicts, rows: [...rows.values()].map(({ time, keys, members }) => ({ time, keys, stats: (spec.stats ?? []).map((stat) => [stat.name, value(stat, members)]) })), faults: {}, problems: [] };
}

const STEPS = { '1s': 1000, '5s': 5000, '15s': 15_000, '1m': MINUTE, '5m': 5 * MINUTE, '15m': 15 * MINUTE, '1h': 60 * MINUTE, '6h': 360 * MINUTE };
function windows(name, spec, query) {
  const [from, until] = [Date.parse(query.get('from')), Date.parse(query.get('until'))];
  const step = STEPS[query.get('step')];
  const by = query.has('by') ? query.get('by').split(',').filter(Boolean) : (spec.group_by ?? []);
  const keys = by.length > 0 ? ['apple', 'pear', '香蕉'].map((goods) => ({ [by[0]]: goods })) : [{}];
  const times = [];
  for (let time = from; time < Math.min(until, now()); time += step) times.push(time);
  const open = (time) => time + step > now() - Math.min(step, 3000);
  const mark = (time, n) => {
    if (open(time)) return { state: 'in_progress' };
    if (name === 'just-made' || n < 4) return { state: 'never', reason: 'nobody_expected' };
    if (name === 'quiet') return { state: 'complete' };
    if (n % 31 === 11 || n % 31 === 12) return { state: 'partial', missing: ['a3'], missingCount: 1 };
    if (n % 41 === 30) return { state: 'never', reason: 'left', missing: ['a3'], missingCount: 1 };
    return { state: n % 23 === 7 ? 'revised' : 'complete' };
  };
  const completeness = times.map((time, n) => ({ time: iso(time), ...mark(time, n) }));
  const figures = (time, n, k) => {
    const share = (open(time) ? 0.2 : 1) * (n % 31 === 11 || n % 31 === 12 ? 0.6 : 1);
    const total = Math.round(share * (60 - 12 * k + 20 * Math.sin(time / (step * 10) + k)));
    const failure = Math.round(total * (n % 9 === 4 ? 0.2 : 0.02));
    const of = { lines: total, success: total - failure, failure, success_rate: total > 0 ? (100 * (total - failure)) / total : null };
    return Object.fromEntries(spec.stats.map((stat) => [stat.name, of[stat.fn] ?? Math.round(10 * (40 + 30 * Math.sin(time / (step * 15) + k) + 9 * k)) / 10]));
  };
  const zeros = Object.fromEntries(spec.stats.map((stat) => [stat.name, ['lines', 'success', 'failure', 'sum'].includes(stat.fn) ? 0 : null]));
  const silent = name === 'quiet' || name === 'just-made';
  const blindness = { babel: (n) => n > 40 && 'not_understood', nginx: () => 'no_file', 'trade-errors': (n) => n % 9 === 7 && (n % 2 ? 'no_file' : 'not_understood') }[name] ?? (() => false);
  const blind = step < MINUTE ? [] : times.flatMap((time, n) => (blindness(n) ? [{ time: iso(time), reason: blindness(n) }] : []));
  const point = (time, n, k) => {
    if (blindness(n)) return [];
    const quiet = silent || n % 17 === 5;
    if (n < 3 || (quiet && !['complete', 'revised'].includes(mark(time, n).state))) return [];
    return [{ time: iso(time), values: quiet ? zeros : figures(time, n, k) }];
  };
  const series = keys.map((one, k) => ({ keys: one, points: times.flatMap((time, n) => point(time, n, k)) }));
  return { by, stats: spec.stats.map(({ name: stat }) => stat), series, truncated: false, completeness, blind, ...(name === 'babel' && step < 60 * MINUTE ? { keptFrom: iso(from + (until - from) / 3) } : {}) };
}

const PLURALS = { monitors: 'Monitor', 'alert-rules': 'AlertRule', contacts: 'Contact', 'contact-groups': 'ContactGroup', 'dingtalk-robots': 'DingtalkRobot', webhooks: 'Webhook', 'email-servers': 'EmailServer', subscriptions: 'Subscription' };
const ME = { name: 'admin', displayName: 'Admin', platformAdmin: true, roles: {}, workspaces: ['default', 'staging'] };
let signedIn = process.env.SIGNED_IN === '1';

function respond(method, path, query, body) {
  const problem = (status, detail, problems = []) => [status, { type: 'about:blank', title: 'refused', status, detail, problems }];
  if (path === '/auth/login') {
    if (body.password !== 'nightjar') return problem(401, 'wrong name or password');
    signedIn = true;
    return [200, ME];
  }
  if (!signedIn) return problem(401, 'sign in first');
  if (path === '/auth/logout') {
    signedIn = false;
    return [204];
  }
  if (path === '/auth/me') return [200, ME];
  if (path === '/users') return [200, { items: [{ name: 'admin', displayName: 'Admin', platformAdmin: true, roles: {}, disabled: false, createdAt: iso(now() - 864e5), lastLoginAt: iso(now()) }, { name: 'bob', displayName: '', platformAdmin: false, roles: { default: 'viewer' }, disabled: false, createdAt: iso(now() - 5e7), lastLoginAt: null }] }];
  if (path === '/tokens') return method === 'POST' ? [201, { id: 't2', name: body.name, token: 'nj_1234567890' }] : [200, { items: [] }];
  if (path === '/audit') return [200, { items: [] }];
  const [, ws, collection, name, action] = /^\/workspaces\/([^/]+)\/([^/]+)(?:\/([^/]+))?(?:\/([^/]+))?$/.exec(path) ?? [];
  if (!ws) return problem(404, `no such path: ${path}`);
  if (collection === 'overview') return [200, { monitors: { total: 3, enabled: 2 }, agents: { healthy: 1, abnormal: 0, clock_skew: 1, lost: 1, left: 0 }, blind: [], firing: { P0: 1, P1: 1, P2: 0, P3: 0, P4: 0 }, trend: Array.from({ length: 24 }, (_, n) => ({ time: iso(Math.floor(now() / 36e5) * 36e5 - (23 - n) * 36e5), count: (n * 7) % 5 })), latest: ALERTS, incomplete: [{ monitor: 'trade-create', completeThrough: iso(now() - 9e5), missing: ['a3'] }] }];
  if (collection === 'readings') return [200, { items: [...stored.values()].filter(({ kind }) => kind === 'Monitor').map(({ metadata, spec }) => readingOf(metadata.name, spec)) }];
  if (collection === 'folders') return [200, { items: [{ path: '', monitors: 0, rules: 0 }, { path: 'gateway', monitors: 1, rules: 0 }, { path: 'trade', monitors: 1, rules: 1 }, { path: 'trade/core', monitors: 1, rules: 0 }] }];
  if (collection === 'agents' && !name) return [200, { items: AGENTS }];
  if (collection === 'agents' && action === 'tasks') {
    if (body.list_files) return [200, { files: { root: body.list_files.root, truncated: false, files: [{ path: `${body.list_files.root}/trade.log`, directory: false, readable: true, sizeBytes: 1234567, modifiedAt: iso(now() - 4000) }, { path: `${body.list_files.root}/old`, directory: true, readable: true, sizeBytes: 0, modifiedAt: iso(now() - 4e7) }, { path: `${body.list_files.root}/secure`, directory: false, readable: false, sizeBytes: 20, modifiedAt: null }] } }];
    if (body.preview_file) return [200, { preview: { path: body.preview_file.path, lines: LINES, charset: 'UTF-8', sizeBytes: 1234567 } }];
    return [200, { trial: attempt(body.try_monitor) }];
  }
  if (collection === 'derive-pick') return [200, derive(body)];
  if (collection === 'try-monitor') return [200, attempt(body)];
  if (collection === 'enrolment-tokens') return method === 'POST' ? [201, { id: 'e1', token: 'nje_x', install: 'curl -fsSL http://127.0.0.1:9700/install-agent.sh | sudo sh -s -- --token nje_0123456789abcdef' }] : [200, { items: [{ id: 'e0', workspace: 'default', note: 'trade hosts', usesLeft: null, used: 3, createdBy: 'user:admin', createdAt: iso(now() - 5e7), expiresAt: iso(now() + 5e8) }] }];
  if (collection === 'alerts') return name ? [200, { alert: ALERTS.find(({ id }) => id === name), events: EVENTS, notifications: NOTES }] : [200, { items: ALERTS, next: null }];
  if (collection === 'audit') return [200, { items: [{ id: 2, at: iso(now() - 9e4), actor: 'user:admin', address: '127.0.0.1', workspace: ws, action: 'update', kind: 'AlertRule', name: 'trade-slow', before: { spec: { level: 'P2', conditions: [{ field: 'cost_avg', op: '>', threshold: 80 }] } }, after: { spec: { level: 'P1', conditions: [{ field: 'cost_avg', op: '>', threshold: 100 }] } } }, { id: 1, at: iso(now() - 9e6), actor: 'user:admin', address: '127.0.0.1', workspace: null, action: 'login', kind: 'User', name: 'admin', before: null, after: null }], next: null }];
  if (collection === 'sql') return [200, { columns: [{ name: 'time', type: 'timestamp' }, { name: 'count', type: 'bigint' }], rows: [{ time: iso(now()), count: 4 }], elapsed_ms: 7 }];
  if (!PLURALS[collection]) return problem(404, `no such collection: ${collection}`);

  const key = `${collection}/${name}`;
  if (!name) return [200, { items: [...stored.entries()].filter(([one]) => one.startsWith(`${collection}/`)).map(([, one]) => one), next: null }];
  if (action === 'windows') return stored.has(key) ? [200, windows(name, stored.get(key).spec, query)] : problem(404, 'no such monitor');
  if (action === 'status') return [200, { files: 3, reading: readingOf(name, stored.get(key).spec), completeThrough: iso(now() - 9e5), agents: AGENTS.map(({ id, facts, health }) => ({ id, hostname: facts.hostname, health, through: iso(now() - (health === 'lost' ? 9e5 : 2000)) })), faults: [{ reason: 'not_a_number', lastHour: 3, example: AGENTS[0].monitors[0].examples.not_a_number }] }];
  if (action === 'test-send') return collection === 'contacts' ? problem(503, 'smtp.example.com cannot be reached: connection refused') : [200, { answer: '{"errcode":0,"errmsg":"ok"}' }];
  if (action === 'versions') {
    const { spec, metadata, kind } = stored.get(key);
    const version = (n, ago, by, change) => ({ kind, metadata: { ...metadata, version: n, updatedAt: iso(now() - ago), updatedBy: by }, spec: { ...spec, ...change } });
    return [200, { items: [version(3, 6e5, 'user:admin', {}), version(2, 9e6, 'token:ci', { enabled: false }), version(1, 864e5, 'user:admin', { enabled: false, limits: { max_keys: 500 } })] }];
  }
  if (action === 'restore') return [200, stored.get(key)];
  if (method === 'GET') return stored.has(key) ? [200, stored.get(key)] : problem(404, `there is no ${PLURALS[collection]} \`${name}\``);
  if (method === 'DELETE') {
    if (name === 'trade-create') return problem(409, 'Monitor `trade-create` is referred to', [{ path: 'alert-rules/trade-slow', message: 'AlertRule `trade-slow` refers to it at spec.monitor' }]);
    stored.delete(key);
    return [204];
  }
  if (body.spec.source && body.spec.source.log.paths.length === 0) return problem(422, 'the document has 1 problem', [{ path: 'spec.source.log.paths', message: 'needs at least one path' }]);
  if (body.kind === 'AlertRule' && !body.spec.conditions?.length) return problem(422, 'the document has 2 problems', [{ path: 'spec.conditions', message: 'needs 1 to 16 conditions' }, { path: 'metadata.name', message: 'is required' }]);
  put(body.kind, collection, name, body.spec, { ...body.metadata, version: (stored.get(key)?.metadata.version ?? 0) + 1, updatedAt: iso(now()) });
  return [200, stored.get(key)];
}

const server = createServer((request, response) => {
  const url = new URL(request.url, 'http://mock');
  if (!url.pathname.startsWith('/api/')) {
    const file = join(DIST, url.pathname);
    const found = url.pathname !== '/' && existsSync(file) ? file : join(DIST, 'index.html');
    response.writeHead(200, { 'Content-Type': TYPES[extname(found)] ?? 'application/octet-stream', 'Content-Security-Policy': "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; object-src 'none'; base-uri 'self'; frame-ancestors 'none'" });
    createReadStream(found).pipe(response);
    return;
  }
  let text = '';
  request.on('data', (part) => (text += part));
  request.on('end', () => {
    const [status, answer] = respond(request.method, decodeURIComponent(url.pathname.slice('/api/v1'.length)), url.searchParams, text ? JSON.parse(text) : {});
    response.writeHead(status, { 'Content-Type': status < 400 ? 'application/json' : 'application/problem+json' });
    response.end(answer === undefined ? '' : JSON.stringify(answer));
  });
});
const port = Number(process.env.PORT ?? 9700);
server.listen(port, '127.0.0.1', () => console.log(`http://127.0.0.1:${port}`));
