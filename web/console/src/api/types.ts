/** The shapes of the HTTP API that the console reads and writes. */

export type Role = 'viewer' | 'operator' | 'editor' | 'admin';
export type Level = 'P0' | 'P1' | 'P2' | 'P3' | 'P4';
export const LEVELS: readonly Level[] = ['P0', 'P1', 'P2', 'P3', 'P4'];
export const ROLES: readonly Role[] = ['viewer', 'operator', 'editor', 'admin'];

export interface Problem {
  path: string;
  message: string;
}

export interface Page<T> {
  items: T[];
  next?: string | null;
}

export interface Me {
  name: string;
  displayName: string;
  platformAdmin: boolean;
  roles: Record<string, Role>;
  workspaces: string[];
}

export interface Metadata {
  name: string;
  workspace?: string;
  displayName?: string;
  folder?: string;
  labels?: Record<string, string>;
  uid?: string;
  version?: number;
  createdAt?: string;
  createdBy?: string;
  updatedAt?: string;
  updatedBy?: string;
}

export interface Resource<S = Record<string, unknown>> {
  kind: string;
  metadata: Metadata;
  spec: S;
  status?: unknown;
}

export type Pick =
  | { split: { by: string; index: number } }
  | { between: { left?: string; right?: string; nth?: number } }
  | { regex: { pattern: string; group?: number | string } }
  | { json: { pointer: string } };

export interface Column {
  name: string;
  pick: Pick;
  number?: boolean;
}

export interface ColumnFilter {
  column: string;
  in: string[];
}

export type StatFn = 'lines' | 'sum' | 'avg' | 'min' | 'max';

export interface Stat {
  name: string;
  fn: StatFn;
  column?: string;
}

export type PathPattern = { path: string } | { glob: string };

export interface MonitorSpec {
  type: 'minute' | 'minute_multi_key';
  app?: string;
  targets?: { labels?: Record<string, string>; env?: string[]; idc?: string[]; ldc?: string[]; hosts?: string[] };
  source: {
    log: {
      paths: PathPattern[];
      charset?: string;
      time?: { format?: 'auto' | 'normal' | 'iso8601'; column?: string; timezone?: string };
      start?: 'end' | 'beginning';
    };
  };
  columns?: Column[];
  filter?: { include?: ColumnFilter[]; exclude?: ColumnFilter[] };
  group_by?: string[];
  stats?: Stat[];
  limits?: { max_keys?: number };
  enabled?: boolean;
}

export type KeyMatch = { any: boolean } | { in: string[] } | { not_in: string[] };
export type Take = { now: Record<string, never> } | { sum: string } | { avg: string } | { min: string } | { max: string };
export const OPS = ['>', '>=', '<', '<=', '==', '!='] as const;

export interface Condition {
  field: string;
  take?: Take;
  against?: 'absolute';
  op: (typeof OPS)[number];
  threshold: number;
}

export interface ActiveHours {
  days?: string[];
  from?: string;
  to?: string;
  timezone?: string;
}

export interface AlertRuleSpec {
  monitor: string;
  where?: Record<string, KeyMatch>;
  level?: Level;
  every?: string;
  active?: ActiveHours[];
  match?: 'all' | 'any';
  conditions: Condition[];
  for?: { times: number; of?: number };
  recover?: { times?: number; conditions?: Condition[] };
  no_data?: 'keep' | 'alert' | 'ok';
  partial_data?: 'wait' | 'judge';
  max_wait?: string;
  message?: { text?: string; advice?: string; link?: string };
  enabled?: boolean;
}

export type CompletenessState = 'complete' | 'partial' | 'revised';

export interface Completeness {
  time: string;
  state: CompletenessState;
  missing?: string[];
}

export interface Series {
  keys: Record<string, string>;
  points: { time: string; values: Record<string, number | null> }[];
}

export interface Windows {
  by: string[];
  stats: string[];
  series: Series[];
  truncated: boolean;
  completeness: Completeness[];
}

export interface MonitorStatus {
  completeThrough?: string | null;
  agents: { id: string; hostname?: string | null; through?: string | null; health?: AgentHealth | null }[];
  faults: { reason: string; lastHour: number; example?: string | null }[];
  files: number;
}

export interface TrialLine {
  text: string;
  time?: string | null;
  columns: Record<string, string>;
  counted: boolean;
  reason?: string | null;
}

export interface TrialReport {
  lines: TrialLine[];
  rows: { time: string; keys: [string, string][]; stats: [string, number | null][] }[];
  faults: Record<string, number>;
  problems: Problem[];
}

export interface Selection {
  line: number;
  from: number;
  to: number;
}

export interface PickSuggestion {
  pick: Pick;
  yields: (string | null)[];
  distinct: number;
}

export type AgentHealth = 'healthy' | 'abnormal' | 'clock_skew' | 'lost';
export const HEALTHS: readonly AgentHealth[] = ['healthy', 'abnormal', 'clock_skew', 'lost'];

export interface AgentView {
  id: string;
  workspace: string;
  facts: {
    hostname: string;
    ip: string;
    version: string;
    os: string;
    arch: string;
    timezone: string;
    labels: Record<string, string>;
  };
  health: AgentHealth;
  reasons: string[];
  enrolledAt: string;
  lastSeenAt?: string | null;
  clockSkewMs: number;
  configApplied?: string | null;
  configWanted: string;
  monitors: {
    monitor: string;
    files: number;
    lines: number;
    faults: Record<string, number>;
    examples: Record<string, string>;
    watermark?: string | null;
  }[];
  process: {
    residentBytes: number;
    cpuMillis: number;
    journalBytes: number;
    journalLimitBytes: number;
    unackedRecords: number;
    paused: boolean;
  };
}

export type AgentTask =
  | { list_files: { root: string; limit?: number } }
  | { preview_file: { path: string; lines?: number; charset?: string } }
  | { try_monitor: { spec: MonitorSpec; lines?: number } };

export interface FileEntry {
  path: string;
  directory: boolean;
  readable: boolean;
  sizeBytes: number;
  modifiedAt?: string | null;
}

export interface AgentTaskResult {
  files?: { root: string; files: FileEntry[]; truncated: boolean };
  preview?: { path: string; lines: string[]; charset: string; sizeBytes: number };
  trial?: TrialReport;
}

export type AlertStatus = 'firing' | 'recovered' | 'closed';

export interface Alert {
  id: string;
  workspace: string;
  rule: string;
  ruleTitle: string;
  monitor: string;
  folder: string;
  keys: Record<string, string>;
  level: Level;
  status: AlertStatus;
  startedAt: string;
  endedAt?: string | null;
  summary: string;
  values: Record<string, number | null>;
}

export interface AlertEvent {
  at: string;
  alert: string;
  stage: string;
  outcome: string;
  reason: string;
  notification?: string | null;
}

export interface Notification {
  id: string;
  alert: string;
  channel: 'dingtalk' | 'email' | 'webhook';
  receiver: string;
  status: 'pending' | 'sent' | 'failed';
  attempts: number;
  createdAt: string;
  nextAttemptAt: string;
  sentAt?: string | null;
  payload: unknown;
  lastAnswer?: string | null;
}

export interface AlertDetail {
  alert: Alert;
  events: AlertEvent[];
  notifications: Notification[];
}

export interface Overview {
  monitors: { total: number; enabled: number };
  agents: Partial<Record<AgentHealth, number>>;
  firing: Partial<Record<Level, number>>;
  trend: { time: string; count: number }[];
  latest: Alert[];
  incomplete: { monitor: string; completeThrough?: string | null; missing: string[] }[];
}

export interface User {
  name: string;
  displayName: string;
  platformAdmin: boolean;
  roles: Record<string, Role>;
  disabled: boolean;
  createdAt: string;
  lastLoginAt?: string | null;
}

export interface ApiToken {
  id: string;
  name: string;
  platformAdmin: boolean;
  roles: Record<string, Role>;
  createdBy: string;
  createdAt: string;
  expiresAt?: string | null;
  lastUsedAt?: string | null;
}

export interface EnrolmentToken {
  id: string;
  note: string;
  usesLeft?: number | null;
  used: number;
  createdBy: string;
  createdAt: string;
  expiresAt?: string | null;
}

export interface AuditEntry {
  id: number;
  at: string;
  actor: string;
  address?: string | null;
  workspace?: string | null;
  action: string;
  kind: string;
  name: string;
  before?: unknown;
  after?: unknown;
}
