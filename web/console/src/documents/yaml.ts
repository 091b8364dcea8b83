/** A document as YAML and back. What only the server sets is not shown. */

import { Document, isCollection, isPair, isScalar, LineCounter, parseDocument, visit } from 'yaml';
import type { Metadata, Resource } from '@/api/types';
import { parsePath } from './path';

const SERVER_SET: readonly (keyof Metadata)[] = ['workspace', 'uid', 'version', 'createdAt', 'createdBy', 'updatedAt', 'updatedBy'];

/** The document as its author wrote it. */
export function authored<S>(resource: Resource<S>): Resource<S> {
  const metadata = Object.fromEntries(
    Object.entries(resource.metadata).filter(([key]) => !SERVER_SET.some((set) => set === key)),
  ) as unknown as Metadata;
  return { kind: resource.kind, metadata, spec: resource.spec };
}

export function toYaml(document: Resource<unknown>): string {
  // Quoted too is what only tools of YAML 1.1 take for a boolean, a number or a date.
  const tree = new Document(authored(document), { compat: 'yaml-1.1' });
  visit(tree, {
    // Which YAML 1.1 has a type for, and the library does not know.
    Scalar: (_, scalar) => {
      if (scalar.value === '=') scalar.type = 'QUOTE_DOUBLE';
    },
  });
  return tree.toString({ lineWidth: 0 });
}

/** A key and the lines, from 1, where one mapping has it. */
export type KeyTwice = { key: string; first: number; second: number };

/** The first key that one mapping has twice, with both lines. */
function keyTwice(root: unknown, counter: LineCounter): KeyTwice | undefined {
  if (!isCollection(root)) return undefined;
  const seen = new Map<string, number>();
  for (const item of root.items) {
    if (isPair(item) && isScalar(item.key)) {
      const key = String(item.key.source ?? item.key.value);
      const line = counter.linePos(item.key.range?.[0] ?? 0).line;
      const first = seen.get(key);
      if (first !== undefined) return { key, first, second: line };
      seen.set(key, line);
    }
    const below = keyTwice(isPair(item) ? item.value : item, counter);
    if (below) return below;
  }
  return undefined;
}

export type Parsed = { document: Resource; error?: undefined; twice?: undefined } | { document?: undefined; error: string; twice?: KeyTwice };

export function fromYaml(text: string): Parsed {
  const counter = new LineCounter();
  const parsed = parseDocument(text, { prettyErrors: true, merge: true, uniqueKeys: false, lineCounter: counter });
  const error = parsed.errors[0];
  if (error) return { error: error.message };
  const twice = keyTwice(parsed.contents, counter);
  if (twice) return { error: `${twice.key}: ${twice.first}, ${twice.second}`, twice };
  const value: unknown = parsed.toJS();
  if (value === null || typeof value !== 'object' || Array.isArray(value)) return { error: 'kind, metadata, spec?' };
  const { kind, metadata, spec, ...rest } = value as Partial<Resource>;
  // Unknown fields are kept: the server names them, where dropping them would hide a slip.
  return { document: { ...rest, kind: kind ?? '', metadata: metadata ?? { name: '' }, spec: spec ?? {} } };
}

/** The text with `metadata.name` as given, and all else, comments too, as it was. */
export function withName(text: string, name: string): string {
  const parsed = parseDocument(text);
  if (isCollection(parsed.get('metadata'))) parsed.setIn(['metadata', 'name'], name);
  else parsed.set('metadata', { name });
  return parsed.toString({ lineWidth: 0 });
}

/** The line, from 1, where a path stands in the text, or where the nearest part of it does. */
export function lineOf(text: string, path: string): number | undefined {
  const counter = new LineCounter();
  const parsed = parseDocument(text, { lineCounter: counter });
  const steps = parsePath(path);
  for (let length = steps.length; length > 0; length -= 1) {
    const parent: unknown = length > 1 ? parsed.getIn(steps.slice(0, length - 1), true) : parsed.contents;
    if (!isCollection(parent)) continue;
    const step = steps[length - 1];
    const pair = parent.items.find((item, index) => {
      if (item !== null && typeof item === 'object' && 'key' in item) {
        return isScalar(item.key) && String(item.key.value) === String(step);
      }
      return index === step;
    });
    const node: unknown = pair !== null && typeof pair === 'object' && 'key' in pair ? pair.key : pair;
    const range = node !== null && typeof node === 'object' && 'range' in node ? (node.range as [number] | null) : null;
    if (range) return counter.linePos(range[0]).line;
  }
  return undefined;
}
