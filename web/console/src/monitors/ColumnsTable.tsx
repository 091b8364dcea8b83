/** The columns there are: renamed, changed and taken out here; new ones come from picking, or by hand. */

import { DeleteOutlined, PlusOutlined } from '@ant-design/icons';
import { Button, Checkbox, Input, Popover } from 'antd';
import { useTranslation } from 'react-i18next';
import type { MonitorSpec } from '@/api/types';
import { useDocument } from '@/documents/draft';
import { problemsAt } from '@/documents/path';
import { Nothing } from '@/parts/Page';
import type { Yields } from './MonitorForm';
import { PickEditor } from './PickEditor';
import { distinctValues, pickWords, suggestName } from './picks';
import { withoutColumn, withRenamedColumn } from './spec';

export function ColumnsTable({ yields, hasLines }: { yields: Yields; hasLines: boolean }) {
  const { t } = useTranslation();
  const draft = useDocument<MonitorSpec>();
  const { spec } = draft.document;
  const columns = spec.columns ?? [];
  const add = () => {
    const pick = { split: { by: ',', index: 0 } };
    draft.set('spec.columns', [...columns, { name: suggestName(pick, columns.map(({ name }) => name)), pick }]);
  };

  return (
    <div className="stack" style={{ gap: 10 }}>
      {columns.length === 0 && <Nothing title={t('column.none')} help={t(hasLines ? 'column.noneHelpLines' : 'column.noneHelp')} />}
      {columns.map((column, index) => {
        const problems = problemsAt(draft.problems, `spec.columns[${index}]`);
        const { key, values } = pickWords(column.pick);
        const seen = distinctValues(yields[column.name] ?? []);
        return (
          <div key={index} data-testid={`column-${index}`}>
            <div className="row">
              <Input value={column.name} disabled={draft.readOnly} aria-label={t('pick.columnName')} status={problems.length > 0 ? 'error' : ''} onChange={(event) => draft.set('spec', withRenamedColumn(spec, index, event.target.value.trim()))} style={{ width: 160 }} />
              <Popover trigger="click" content={<PickEditor pick={column.pick} disabled={draft.readOnly} onChange={(pick) => draft.set(`spec.columns[${index}].pick`, pick)} />}>
                <Button type="dashed" style={{ maxWidth: '100%', whiteSpace: 'normal', height: 'auto' }}>{t(key, values)}</Button>
              </Popover>
              <Checkbox checked={column.number === true} disabled={draft.readOnly} onChange={(event) => draft.set(`spec.columns[${index}].number`, event.target.checked ? true : undefined)}>{t('column.number')}</Checkbox>
              {!draft.readOnly && <Button type="text" icon={<DeleteOutlined />} aria-label={t('column.remove', { name: column.name })} onClick={() => draft.set('spec', withoutColumn(spec, index))} />}
              {seen.length > 0 && <span className="muted mono" style={{ overflowWrap: 'anywhere' }}>{seen.slice(0, 6).join(' · ')}{seen.length > 6 ? ` … (${seen.length})` : ''}</span>}
            </div>
            {problems.map((problem) => <div key={problem.path} role="alert" style={{ color: '#ff4d4f' }}><code>{problem.path}</code> {problem.message}</div>)}
          </div>
        );
      })}
      {!draft.readOnly && <Button type="dashed" size="small" icon={<PlusOutlined />} onClick={add} style={{ alignSelf: 'start' }} data-testid="column-by-hand">{t('column.byHand')}</Button>}
    </div>
  );
}
