import { Empty } from 'antd';
import { useEffect, type ReactNode } from 'react';

interface PageProps {
  title: string;
  extra?: ReactNode;
  actions?: ReactNode;
  /** Keeps the title and the actions in sight of a long form. */
  sticky?: boolean;
  children: ReactNode;
}

/** A page: its title, what can be done on it, what is on it. */
export function Page({ title, extra, actions, sticky = false, children }: PageProps) {
  useEffect(() => {
    document.title = `${title} · Nightjar`;
  }, [title]);
  return (
    <div className="page">
      <div className={sticky ? 'page-head sticky' : 'page-head'}>
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
