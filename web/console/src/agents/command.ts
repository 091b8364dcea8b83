/** The command that installs an agent, as the console writes it. */

/** What the installer takes for a label: a key and a value, of characters that its scripts need not quote. */
export const isLabel = (text: string) => /^[\w.:/@+-]+=[\w.:/@=+-]*$/.test(text);

/** A word for a POSIX shell, quoted only where it must be. */
export const shellWord = (text: string) => (/^[\w./:=@%+,-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`);

export const withLabels = (command: string, labels: readonly string[]) => [command, ...labels.map((label) => `--label ${shellWord(label)}`)].join(' ');
