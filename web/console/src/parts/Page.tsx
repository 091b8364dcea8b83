import { Empty } from 'antd';
import { useEffect, type ReactNode } from 'react';

/** A page: its title, what can be done on it, what is on it. */
export function Page({ title, extra, actions, children }: { title: string; extra?: ReactNode; actions?: ReactNode; children: ReactNode }) {
  useEffect(() => {
    document.title = `${title} · Nightjar`;
  }, [title]);
  return (
    <div className="page">
      <div className="page-head">
        <h1>{title}</h1>
        {extra}
        {actions && <div className="actions">{actions}</div>}
      </div>
      {children}
    </div>
  );
}

/** Nothing here yet, and what to do about it. */
export function Nothing({ title, help, children }: { title: string; help?: ReactNode; children?: ReactNode }) {
  return (
    <Empty image={Empty.PRESENTED_IMAGE_SIMPLE} description={<><div>{title}</div>{help && <div className="muted" style={{ maxWidth: 520, margin: '4px auto 0' }}>{help}</div>}</>}>
      {children}
    </Empty>
  );
}
