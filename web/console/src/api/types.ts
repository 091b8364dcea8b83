/** The shapes of the HTTP API by the names the console knows them by; generated but for a few. */

import type { components } from './openapi';

type Schemas = components['schemas'];

export type Role = Schemas['Role'];
export type Level = Schemas['Level'];
export const LEVELS: readonly Level[] = ['P0', 'P1', 'P2', 'P3', 'P4'];
export const ROLES: readonly Role[] = ['viewer', 'operator', 'editor', 'admin'];

export type Problem = Schemas['Problem'];
export type Me = Schemas['Me'];

export interface Page<T> {
  items: T[];
  next?: string | null;
}

/** A document has a name, also while it is being written. */
export type Metadata = Partial<Schemas['Metadata']> & { name: string };

export interface Resource<S = Record<string, unknown>> {
  kind: string;
  metadata: Metadata;
  spec: S;
  status?: unknown;
}

export type Pick = Schemas['Pick'];
export type Column = Schemas['Column'];
export type ColumnFilter = Schemas['ColumnFilter'];
/** `success` and the two after it are of service metrics alone. */
export type StatFn = Schemas['StatFn'] | 'success' | 'failure' | 'success_rate';
export type Stat = Omit<Schemas['Stat'], 'fn'> & { fn: StatFn };
export type MonitorType = Schemas['MonitorType'];
/** Which column tells what became of a request, which values of it mean success, and which column what it took. */
export interface ServiceSpec {
  result: string;
  success?: string[];
  cost?: string;
}
/** How many keys are shown of a minute, by which statistic. */
export type TopSpec = Schemas['TopSpec'];
export type PathPattern = Schemas['PathPattern'];

/** Of a filter, a side without entries is left out. */
export type MonitorSpec = Omit<Schemas['MonitorSpec'], 'filter' | 'type' | 'stats' | 'service' | 'top'> & {
  type: MonitorType;
  filter?: Partial<Schemas['Filter']>;
  stats?: Stat[];
  service?: ServiceSpec;
  top?: TopSpec;
};

export type KeyMatch = Schemas['KeyMatch'];
export type Take = Schemas['Take'];
export const OPS: readonly Schemas['Op'][] = ['>', '>=', '<', '<=', '==', '!='];
export type Condition = Schemas['Condition'];
export type ActiveHours = Schemas['ActiveHours'];
export type AlertRuleSpec = Schemas['AlertRuleSpec'];

export type CompletenessState = Schemas['CompletenessState'];
export type IncompleteReason = Schemas['IncompleteReason'];
export type Completeness = Schemas['Completeness'];
export type CompletenessRun = Schemas['CompletenessRun'];
export type BlindWindow = Schemas['BlindWindow'];
export type Windows = Schemas['Windows'];
export type Series = Windows['series'][number];
export type TopWindow = Schemas['TopWindow'];
export type TopItem = Schemas['TopItem'];
export type MonitorStatus = Schemas['MonitorStatus'];
export type Reading = Schemas['Reading'];
export type ReadingState = Schemas['ReadingState'];

export type TrialReport = Schemas['TrialReport'];
export type Selection = Schemas['Selection'];
export type PickSuggestion = Schemas['PickSuggestion'];

export type AgentHealth = Schemas['AgentHealth'];
export const HEALTHS: readonly AgentHealth[] = ['healthy', 'abnormal', 'clock_skew', 'lost', 'left'];
export type AgentView = Schemas['AgentView'];
export type AgentTask = Exclude<Schemas['AgentTask'], { try_monitor: unknown }>;

/** The answer to a task: the member that the task asks for. */
export interface AgentTaskResult {
  files?: Schemas['FileListing'];
  preview?: Schemas['FilePreview'];
  trial?: TrialReport;
}

export type AlertStatus = Schemas['AlertStatus'];
export type Alert = Schemas['Alert'];
export type AlertEvent = Schemas['AlertEvent'];
export type Notification = Schemas['Notification'];
export type AlertDetail = Schemas['AlertDetail'];
export type Overview = Schemas['Overview'];

export type User = Schemas['User'];
export type ApiToken = Schemas['ApiToken'];
export type EnrolmentToken = Schemas['EnrolmentToken'];
export type NewEnrolmentToken = Schemas['NewToken'];
export type AuditEntry = Schemas['AuditEntry'];
