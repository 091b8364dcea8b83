/** What jsdom lacks and Ant Design asks for; and a clean page after each test. */

import { cleanup } from '@testing-library/react';
import { afterEach, vi } from 'vitest';

if (typeof window !== 'undefined') {
  window.matchMedia = (query) => ({ matches: false, media: query, onchange: null, addListener: () => undefined, removeListener: () => undefined, addEventListener: () => undefined, removeEventListener: () => undefined, dispatchEvent: () => false });
  window.scrollTo = () => undefined;
  window.ResizeObserver = class {
    observe() {}
    unobserve() {}
    disconnect() {}
  };
  // Not supported by jsdom with a pseudo-element; Ant Design asks for the width of a scroll bar.
  const computed = window.getComputedStyle.bind(window);
  window.getComputedStyle = (element) => computed(element);

  afterEach(() => {
    cleanup();
    vi.unstubAllGlobals();
    localStorage.clear();
  });
}
