/** Which files a monitor's paths name; only to tell its author, the agent decides. */

import type { PathPattern } from '@/api/types';

/** Whether one of the patterns names the file. */
export const isMonitored = (file: string, paths: readonly PathPattern[]): boolean => paths.some((pattern) => ('glob' in pattern ? globPattern(pattern.glob).test(file) : pattern.path === file));

/** A glob as the agent reads it: `*`, `?` and `[…]` within a name, `**` over folders. */
function globPattern(glob: string): RegExp {
  let source = '';
  for (let at = 0; at < glob.length; at += 1) {
    const char = glob.charAt(at);
    const set = char === '[' ? /^\[(!?)([^\]]+)\]/.exec(glob.slice(at)) : null;
    if (set) {
      source += `[${set[1] ? '^/' : ''}${(set[2] ?? '').replace(/[\\^\]]/g, '\\$&')}]`;
      at += set[0].length - 1;
    } else if (glob.startsWith('**/', at)) {
      source += '(?:.*/)?';
      at += 2;
    } else if (glob.startsWith('**', at)) {
      source += '.*';
      at += 1;
    } else if (char === '*') source += '[^/]*';
    else if (char === '?') source += '[^/]';
    else source += char.replace(/[.+^${}()|\\[\]]/g, '\\$&');
  }
  try {
    return new RegExp(`^${source}$`, 's');
  } catch {
    return /$^/;
  }
}
