/**
 * Real lines, in which a word is selected with the mouse (a click takes the word, a drag what is
 * dragged over) or the keyboard (arrows go from word to word, with Shift they extend, Enter takes it).
 */

import { useRef, useState, type KeyboardEvent } from 'react';
import { useTranslation } from 'react-i18next';
import { extendWord, stepWord, tokens, trimmed, wordAt, type Span } from './selection';

export interface LineMark extends Span {
  /** What the user selected, as against what a pick yields. */
  chosen: boolean;
}

interface Props {
  lines: string[];
  marks: Map<number, LineMark>;
  onSelect?: (line: number, span: Span) => void;
}

export function SampleLines({ lines, marks, onSelect }: Props) {
  const { t } = useTranslation();
  const box = useRef<HTMLDivElement>(null);
  const [cursor, setCursor] = useState<{ line: number; span: Span }>();
  const [focused, setFocused] = useState<number>();

  const pointed = (line: number, element: HTMLElement, target: EventTarget) => {
    const text = lines[line] ?? '';
    const span = draggedOver(text, element) ?? wordUnder(text, target);
    if (!onSelect || !span) return;
    window.getSelection()?.removeAllRanges();
    setCursor({ line, span });
    onSelect(line, span);
  };

  const pressed = (line: number, event: KeyboardEvent<HTMLElement>) => {
    const text = lines[line] ?? '';
    const span = cursor?.line === line ? cursor.span : undefined;
    const move = (next: Span | undefined) => next && setCursor({ line, span: next });
    if (event.key === 'ArrowRight') move(event.shiftKey && span ? extendWord(text, span, 1) : stepWord(text, span, 1));
    else if (event.key === 'ArrowLeft') move(event.shiftKey && span ? extendWord(text, span, -1) : stepWord(text, span, -1));
    else if (event.key === 'ArrowDown' || event.key === 'ArrowUp') {
      const target = line + (event.key === 'ArrowDown' ? 1 : -1);
      box.current?.querySelector<HTMLElement>(`[data-line="${target}"]`)?.focus();
    } else if ((event.key === 'Enter' || event.key === ' ') && span) onSelect?.(line, span);
    else return;
    event.preventDefault();
  };

  return (
    <div ref={box} className="sample mono" role="group" aria-label={t('sample.lines')} data-testid="sample-lines">
      {lines.map((text, line) => {
        const mark: LineMark | undefined = focused === line && cursor?.line === line && !marks.get(line)?.chosen ? { ...cursor.span, chosen: true } : marks.get(line);
        const focusable = onSelect ? (line === (cursor?.line ?? 0) ? 0 : -1) : undefined;
        return (
          <div key={line} className={`sample-line${mark?.chosen ? ' chosen' : ''}`}>
            <span className="number" aria-hidden>{line + 1}</span>
            {/* A line is a control here: a word in it is chosen with the arrow keys. */}
            <span
              className="text"
              role={onSelect ? 'textbox' : undefined}
              aria-readonly={onSelect ? true : undefined}
              aria-label={onSelect ? `${t('form.line', { line: line + 1 })}: ${text}${mark ? ` — ${text.slice(mark.from, mark.to)}` : ''}` : undefined}
              tabIndex={focusable}
              data-line={line}
              data-testid={`sample-line-${line}`}
              onFocus={() => setFocused(line)}
              onBlur={() => setFocused(undefined)}
              onMouseUp={(event) => pointed(line, event.currentTarget, event.target)}
              onKeyDown={(event) => pressed(line, event)}
            >
              <MarkedText text={text} mark={mark} />
            </span>
          </div>
        );
      })}
    </div>
  );
}

/** What is selected of the line, where that is more than a caret. */
function draggedOver(text: string, element: HTMLElement): Span | undefined {
  const selection = window.getSelection();
  if (!selection || selection.rangeCount === 0) return undefined;
  const range = selection.getRangeAt(0);
  if (range.collapsed || !element.contains(range.startContainer) || !element.contains(range.endContainer)) return undefined;
  const before = document.createRange();
  before.selectNodeContents(element);
  before.setEnd(range.startContainer, range.startOffset);
  const from = before.toString().length;
  return trimmed(text, { from, to: from + range.toString().length });
}

/** The word pointed at; a touch sets no caret, so it is told from the element. */
function wordUnder(text: string, target: EventTarget): Span | undefined {
  const from = target instanceof HTMLElement ? Number(target.dataset['from']) : Number.NaN;
  return wordAt(text, from);
}

function MarkedText({ text, mark }: { text: string; mark: LineMark | undefined }) {
  const part = (from: number, to: number) =>
    tokens(text.slice(from, to)).map((token) => <span key={from + token.from} data-from={from + token.from}>{text.slice(from + token.from, from + token.to)}</span>);
  if (!mark) return <>{part(0, text.length)}</>;
  return (
    <>
      {part(0, mark.from)}
      <mark className={mark.chosen ? 'picked' : undefined} data-from={mark.from}>{text.slice(mark.from, mark.to)}</mark>
      {part(mark.to, text.length)}
    </>
  );
}
