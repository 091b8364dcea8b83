import { DeleteOutlined } from '@ant-design/icons';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { Button, Card, Table } from 'antd';
import { useTranslation } from 'react-i18next';
import { api, listAll, resourcePath } from '@/api/client';
import type { EnrolmentToken } from '@/api/types';
import { useDelete } from '@/documents/DeleteButton';
import { Failure } from '@/parts/Failure';
import { Nothing } from '@/parts/Page';
import { TimeText } from '@/parts/TimeText';
import { OwnerText } from '@/people/OwnerText';
import { useSession } from '@/session';

export function EnrolmentTokens() {
  const { t } = useTranslation();
  const { workspace } = useSession();
  const client = useQueryClient();
  const ask = useDelete();
  const tokens = useQuery({
    queryKey: ['enrolment-tokens', workspace],
    queryFn: ({ signal }) => listAll<EnrolmentToken>(resourcePath(workspace, 'enrolment-tokens'), { signal }),
  });
  return (
    <Card size="small" title={t('agent.tokens')} styles={{ body: { padding: 0 } }}>
      {tokens.error ? <Failure error={tokens.error} retry={() => void tokens.refetch()} /> : (
        <Table
          size="small"
          rowKey="id"
          dataSource={tokens.data}
          loading={tokens.isPending}
          pagination={{ pageSize: 10, hideOnSinglePage: true }}
          scroll={{ x: 'max-content' }}
          locale={{ emptyText: <Nothing title={t('agent.noTokens')} /> }}
          columns={[
            { title: t('agent.note'), key: 'note', render: (_, token) => token.note || <span className="muted">{token.id}</span> },
            { title: t('agent.used'), key: 'used', align: 'end', render: (_, token) => token.used },
            { title: t('agent.usesLeft'), key: 'left', align: 'end', render: (_, token) => token.usesLeft ?? '∞' },
            { title: t('token.expires'), key: 'expires', render: (_, token) => (token.expiresAt ? <TimeText value={token.expiresAt} /> : t('life.never')) },
            { title: t('token.owner'), key: 'owner', render: (_, token) => <OwnerText owner={token.owner} /> },
            { title: t('token.createdBy'), key: 'by', render: (_, token) => token.createdBy },
            {
              key: 'actions',
              align: 'end',
              render: (_, token) => (
                <Button
                  size="small"
                  danger
                  icon={<DeleteOutlined />}
                  aria-label={t('action.delete')}
                  onClick={() =>
                    ask(token.note || token.id, async () => {
                      await api.delete(resourcePath(workspace, 'enrolment-tokens', token.id));
                      await client.invalidateQueries({ queryKey: ['enrolment-tokens', workspace] });
                    })
                  }
                />
              ),
            },
          ]}
        />
      )}
    </Card>
  );
}
