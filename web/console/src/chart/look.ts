import { theme } from 'antd';
import { useMemo } from 'react';
import type { Shown } from './completeness';
import type { Look } from './option';

/** The theme's colours, as a chart uses them. */
export function useLook(colours: ReadonlyMap<string, string>): Look {
  const { token } = theme.useToken();
  return useMemo(
    () => ({
      text: token.colorTextSecondary,
      grid: token.colorSplit,
      open: token.colorTextTertiary,
      openBand: token.colorFillQuaternary,
      threshold: token.colorError,
      background: token.colorBgContainer,
      colours,
    }),
    [token, colours],
  );
}

/** How a stretch of windows is filled, in the strip and in its legend. */
export function useFills(): Record<Shown, string> {
  const { token } = theme.useToken();
  const hatched = (colour: string, gap: string) => `repeating-linear-gradient(135deg, ${colour} 0 3px, ${gap} 3px 6px)`;
  return {
    complete: token.colorSuccess,
    revised: token.colorInfo,
    missing: token.colorWarning,
    lost: hatched(token.colorWarning, token.colorFillSecondary),
    open: hatched(token.colorTextQuaternary, token.colorFillTertiary),
    uncollected: token.colorFillSecondary,
  };
}
