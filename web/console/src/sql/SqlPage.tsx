import { CaretRightOutlined } from '@ant-design/icons';
import { useMutation } from '@tanstack/react-query';
import { Button, Card, Input, Table } from 'antd';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { api, resourcePath } from '@/api/client';
import { useResources } from '@/documents/ResourcePage';
import { Failure } from '@/parts/Failure';
import { Nothing, Page } from '@/parts/Page';
import { useSession } from '@/session';

interface SqlAnswer {
  columns: { name: string; type: string }[];
  rows: Record<string, unknown>[];
  elapsed_ms: number;
}

const shown = (value: unknown): string => (value === null || value === undefined ? '–' : typeof value === 'string' ? value : JSON.stringify(value));

export function Component() {
  const { t } = useTranslation();
  const { workspace } = useSession();
  const monitors = useResources('monitors');
  const example = monitors.data?.[0]?.metadata.name;
  const [typed, setTyped] = useState<string>();
  const sql = typed ?? (example ? `SELECT *\nFROM monitor."${example}"\nORDER BY time DESC\nLIMIT 100` : '');
  const query = useMutation({ mutationFn: (text: string) => api.post<SqlAnswer>(resourcePath(workspace, 'sql'), { sql: text, format: 'json' }) });

  return (
    <Page title={t('nav.sql')}>
      <div className="stack">
        <Card size="small">
          <Input.TextArea
            className="mono"
            value={sql}
            onChange={(event) => setTyped(event.target.value)}
            onKeyDown={(event) => {
              if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) query.mutate(sql);
            }}
            placeholder={'SELECT * FROM monitor."name"'}
            aria-label="SQL"
            spellCheck={false}
            autoSize={{ minRows: 4, maxRows: 16 }}
            data-testid="sql"
          />
          <div className="row" style={{ marginTop: 8 }}>
            <Button type="primary" icon={<CaretRightOutlined />} disabled={sql.trim() === ''} loading={query.isPending} onClick={() => query.mutate(sql)} data-testid="sql-run">{t('sql.run')}</Button>
            <span className="muted">{t('sql.help')}</span>
          </div>
        </Card>
        {query.error && <Failure error={query.error} />}
        {query.data && (
          <Card size="small" title={t('sql.answer', { count: query.data.rows.length, ms: query.data.elapsed_ms })} styles={{ body: { padding: 0 } }}>
            <Table
              size="small"
              rowKey={(row) => query.data.rows.indexOf(row)}
              dataSource={query.data.rows}
              pagination={{ defaultPageSize: 50, showSizeChanger: true, hideOnSinglePage: true }}
              scroll={{ x: 'max-content' }}
              locale={{ emptyText: <Nothing title={t('sql.noRows')} /> }}
              columns={query.data.columns.map(({ name, type }) => ({ title: <span title={type}>{name}</span>, key: name, render: (_: unknown, row: Record<string, unknown>) => <span className="mono">{shown(row[name])}</span> }))}
            />
          </Card>
        )}
      </div>
    </Page>
  );
}
