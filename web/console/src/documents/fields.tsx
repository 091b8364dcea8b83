/** Fields of a document. Each is tied to a path, shows its value, and the server's problems with it. */

import { MinusCircleOutlined, PlusOutlined } from '@ant-design/icons';
import { useQuery } from '@tanstack/react-query';
import { AutoComplete, Button, Form, Input, InputNumber, Select, Space, Switch } from 'antd';
import { useState, type ReactNode } from 'react';
import { useTranslation } from 'react-i18next';
import { listAll, resourcePath } from '@/api/client';
import type { Resource } from '@/api/types';
import { useSession } from '@/session';
import { resourcesKey, useDocument } from './draft';
import { getIn, problemsAt } from './path';

export interface FieldProps {
  path: string;
  label?: ReactNode;
  help?: ReactNode;
  required?: boolean;
}

interface Control {
  id: string;
  value: unknown;
  disabled: boolean;
  set: (value: unknown) => void;
  'aria-describedby': string;
  'aria-required': boolean | undefined;
}

export const fieldId = (path: string) => `field-${path.replace(/[^\w-]+/g, '-')}`;

/** The label, the problems, and the control that `children` makes of the value. */
export function Field({ path, label, help, required, children }: FieldProps & { children: (control: Control) => ReactNode }) {
  const draft = useDocument();
  const problems = problemsAt(draft.problems, path);
  const id = fieldId(path);
  return (
    <Form.Item
      label={label}
      htmlFor={id}
      required={required}
      extra={help}
      validateStatus={problems.length > 0 ? 'error' : undefined}
      help={problems.length > 0 ? <span id={`${id}-problems`} role="alert">{problems.map((p) => p.message).join('; ')}</span> : undefined}
      style={{ marginBottom: 16 }}
    >
      {children({
        id,
        value: getIn(draft.document, path),
        disabled: draft.readOnly,
        set: (value) => draft.set(path, value),
        'aria-describedby': `${id}-problems`,
        'aria-required': required,
      })}
    </Form.Item>
  );
}

const textOf = (value: unknown): string => (typeof value === 'string' ? value : typeof value === 'number' ? String(value) : '');
const listOf = (value: unknown): string[] => (Array.isArray(value) ? value.map(textOf) : []);

interface TextProps extends FieldProps {
  placeholder?: string;
  rows?: number;
  mono?: boolean;
  disabled?: boolean;
}

export function TextField({ placeholder, rows, mono, disabled, ...field }: TextProps) {
  return (
    <Field {...field}>
      {({ set, value, ...control }) => {
        const common = {
          ...control,
          value: textOf(value),
          disabled: control.disabled || disabled,
          placeholder,
          className: mono ? 'mono' : undefined,
          'data-testid': field.path,
          onChange: (event: { target: { value: string } }) => set(event.target.value === '' ? undefined : event.target.value),
        };
        return rows === undefined ? <Input {...common} autoComplete="off" /> : <Input.TextArea {...common} autoSize={{ minRows: rows, maxRows: 16 }} />;
      }}
    </Field>
  );
}

export function NumberField({ min, max, ...field }: FieldProps & { min?: number; max?: number }) {
  return (
    <Field {...field}>
      {({ set, value, ...control }) => (
        <InputNumber {...control} value={typeof value === 'number' ? value : null} min={min} max={max} onChange={(next) => set(next ?? undefined)} style={{ width: '100%' }} data-testid={field.path} />
      )}
    </Field>
  );
}

export function SwitchField({ fallback = false, ...field }: FieldProps & { fallback?: boolean }) {
  return (
    <Field {...field}>
      {({ set, value, id, disabled }) => (
        <Switch id={id} disabled={disabled} checked={typeof value === 'boolean' ? value : fallback} onChange={set} data-testid={field.path} />
      )}
    </Field>
  );
}

export interface Option {
  value: string;
  label: ReactNode;
}

interface SelectProps extends FieldProps {
  options: Option[];
  /** Shown while nothing is chosen: what the server takes then. */
  fallback?: string;
  clearable?: boolean;
  loading?: boolean;
}

export function SelectField({ options, fallback, clearable, loading, ...field }: SelectProps) {
  return (
    <Field {...field}>
      {({ set, value, ...control }) => (
        <Select {...control} value={textOf(value) || fallback} options={options} allowClear={clearable} loading={loading} showSearch={{ optionFilterProp: 'value' }} onChange={(next: string | undefined) => set(next)} data-testid={field.path} />
      )}
    </Field>
  );
}

/** Several values: of those offered, or any text. */
export function ListField({ options, free = false, placeholder, loading, ...field }: FieldProps & { options?: Option[]; free?: boolean; placeholder?: string; loading?: boolean }) {
  return (
    <Field {...field}>
      {({ set, value, ...control }) => (
        <Select {...control} mode={free ? 'tags' : 'multiple'} value={listOf(value)} options={options ?? []} loading={loading} open={free && !options?.length ? false : undefined} suffix={free && !options?.length ? null : undefined} placeholder={placeholder} tokenSeparators={free ? [',', ' ', '\n'] : undefined} onChange={(next: string[]) => set(next.length > 0 ? next : undefined)} data-testid={field.path} />
      )}
    </Field>
  );
}

/** The documents of a kind, as options. */
export function useResourceOptions(plural: string) {
  const { workspace } = useSession();
  return useQuery({
    queryKey: [...resourcesKey(workspace, plural), 'options'],
    queryFn: ({ signal }) => listAll<Resource>(resourcePath(workspace, plural), { signal }),
    select: (items): Option[] =>
      items.map(({ metadata }) => ({ value: metadata.name, label: metadata.displayName ? `${metadata.displayName} (${metadata.name})` : metadata.name })),
  });
}

/** Names of other documents. */
export function ReferencesField({ plural, ...field }: FieldProps & { plural: string }) {
  const options = useResourceOptions(plural);
  return <ListField {...field} options={options.data ?? []} loading={options.isPending} />;
}

export function ReferenceField({ plural, ...field }: FieldProps & { plural: string }) {
  const options = useResourceOptions(plural);
  return <SelectField {...field} options={options.data ?? []} loading={options.isPending} />;
}

/** What stands for a stored secret. Sent back, it keeps the stored value. */
export const MASK = '***';

/** A secret's input: a stored one is kept until it is replaced or taken away. */
export function SecretInput({ value, set, disabled, id, label }: { value: string; set: (value: string | undefined) => void; disabled: boolean; id?: string; label?: string }) {
  const { t } = useTranslation();
  if (value === MASK) {
    return (
      <Space.Compact block>
        <Input id={id} disabled value={t('secret.kept')} aria-label={label} />
        {!disabled && <Button onClick={() => set('')}>{t('secret.replace')}</Button>}
      </Space.Compact>
    );
  }
  return (
    <Input.Password id={id} aria-label={label} value={value} disabled={disabled} autoComplete="new-password" onChange={(event) => set(event.target.value)} />
  );
}

export function SecretField(field: FieldProps) {
  return <Field {...field}>{({ id, value, disabled, set }) => <SecretInput id={id} value={textOf(value)} set={set} disabled={disabled} />}</Field>;
}

/** Names with values, such as labels or headers. */
export function MapField({ secret = false, ...field }: FieldProps & { secret?: boolean }) {
  return <Field {...field}>{({ id, value, disabled, set }) => <MapInput id={id} value={value} set={set} disabled={disabled} secret={secret} />}</Field>;
}

function MapInput({ id, value, set, disabled, secret }: { id: string; value: unknown; set: (value: unknown) => void; disabled: boolean; secret: boolean }) {
  const { t } = useTranslation();
  const stored = Object.entries((value ?? {}) as Record<string, unknown>).map(([key, one]): [string, string] => [key, textOf(one)]);
  // A name that is empty or there twice cannot stand in a map, so what is being typed is kept here.
  const [rows, setRows] = useState(stored);
  const asMap = (from: [string, string][]) => Object.fromEntries(from.filter(([key]) => key !== ''));
  const current = JSON.stringify(asMap(rows)) === JSON.stringify(Object.fromEntries(stored)) ? rows : stored;
  const change = (next: [string, string][]) => {
    setRows(next);
    const map = asMap(next);
    set(Object.keys(map).length > 0 ? map : undefined);
  };
  return (
    <div id={id} role="group" style={{ display: 'grid', gap: 6 }}>
      {current.map(([key, one], index) => (
        <Space.Compact block key={index}>
          <Input value={key} placeholder={t('form.key')} aria-label={t('form.key')} disabled={disabled} style={{ width: '38%' }} onChange={(event) => change(current.with(index, [event.target.value, one]))} />
          {secret ? (
            <SecretInput value={one} label={t('form.value')} disabled={disabled} set={(next) => change(current.with(index, [key, next ?? '']))} />
          ) : (
            <Input value={one} placeholder={t('form.value')} aria-label={t('form.value')} disabled={disabled} onChange={(event) => change(current.with(index, [key, event.target.value]))} />
          )}
          {!disabled && <Button icon={<MinusCircleOutlined />} aria-label={t('action.remove')} onClick={() => change(current.toSpliced(index, 1))} />}
        </Space.Compact>
      ))}
      {!disabled && <Button type="dashed" size="small" icon={<PlusOutlined />} onClick={() => setRows([...current, ['', '']])} style={{ justifySelf: 'start' }}>{t('action.add')}</Button>}
    </div>
  );
}

export interface Folder {
  path: string;
  monitors: number;
  rules: number;
}

export function useFolders() {
  const { workspace } = useSession();
  return useQuery({
    queryKey: ['folders', workspace],
    queryFn: ({ signal }) => listAll<Folder>(resourcePath(workspace, 'folders'), { signal }),
  });
}

export function FolderField(field: FieldProps) {
  const { t } = useTranslation();
  const folders = useFolders();
  return (
    <Field {...field}>
      {({ set, value, ...control }) => (
        <AutoComplete
          {...control}
          value={textOf(value)}
          options={(folders.data ?? []).filter(({ path }) => path !== '').map(({ path }) => ({ value: path }))}
          placeholder={t('form.folderPlaceholder')}
          onChange={(next: string) => set(next === '' ? undefined : next)}
          data-testid={field.path}
        />
      )}
    </Field>
  );
}

/** What every document has: name, title, and where asked for, the folder and labels. */
export function MetadataFields({ folder = false, labels = true }: { folder?: boolean; labels?: boolean }) {
  const { t } = useTranslation();
  const { creating } = useDocument();
  return (
    <>
      <div className="columns-2">
        <TextField path="metadata.name" label={t('form.name')} help={creating ? t('form.nameHelp') : undefined} required disabled={!creating} />
        <TextField path="metadata.displayName" label={t('form.displayName')} />
      </div>
      {(folder || labels) && (
        <div className="columns-2">
          {folder && <FolderField path="metadata.folder" label={t('form.folder')} />}
          {labels && <MapField path="metadata.labels" label={t('form.labels')} />}
        </div>
      )}
    </>
  );
}
