import { expect, test } from 'vitest';
import { isLabel, shellWord, withLabels } from './command';

const COMMAND = 'curl -fsSL http://nightjar:9700/install-agent.sh | sudo sh -s -- --token nje_x';

test('labels go to the end of the command', () => {
  expect(withLabels(COMMAND, [])).toBe(COMMAND);
  expect(withLabels(COMMAND, ['app=trade', 'idc=hz1'])).toBe(`${COMMAND} --label app=trade --label idc=hz1`);
  expect(withLabels(COMMAND, ['app=a b'])).toBe(`${COMMAND} --label 'app=a b'`);
});

test('nothing gets out of a quoted word', () => {
  expect(shellWord('app=trade')).toBe('app=trade');
  expect(shellWord('')).toBe("''");
  expect(shellWord('a=$(id); b')).toBe("'a=$(id); b'");
  expect(shellWord("a='; reboot; '")).toBe(`'a='\\''; reboot; '\\'''`);
});

test('a label is what the installer takes', () => {
  expect(['app=trade', 'team/x=a:b@c', 'empty=', 'a=b=c'].filter(isLabel)).toHaveLength(4);
  expect(['trade', '=trade', 'app=交易', 'app=a b', 'app=$(id)', 'app=a\n', ''].filter(isLabel)).toEqual([]);
});
