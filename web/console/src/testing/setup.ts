/** What jsdom lacks and Ant Design asks for; and a clean page after each test. */

import { cleanup, configure } from '@testing-library/react';
import { afterEach, vi } from 'vitest';

if (typeof window !== 'undefined') {
  window.matchMedia = (query) => Object.assign(new EventTarget(), { matches: false, media: query, onchange: null }) as unknown as MediaQueryList;
  window.scrollTo = () => undefined;
  window.ResizeObserver = class {
    observe() {}
    unobserve() {}
    disconnect() {}
  };
  // Not supported by jsdom with a pseudo-element; Ant Design asks for the width of a scroll bar.
  const computed = window.getComputedStyle.bind(window);
  window.getComputedStyle = (element) => computed(element);

  // A busy machine is no fault of the console's.
  configure({ asyncUtilTimeout: 15_000 });
  afterEach(() => {
    cleanup();
    vi.unstubAllGlobals();
    localStorage.clear();
  });
}
