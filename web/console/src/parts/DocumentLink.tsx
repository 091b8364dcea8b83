/** A document that something names, as a link to its page. */

import { useTranslation } from 'react-i18next';
import { Link } from 'react-router';
import { useSession } from '@/session';

/** What is built in has no page of its own: nobody wrote it. Users' names cannot begin so. */
const isBuiltIn = (name: string) => name.startsWith('_');

export function DocumentLink({ plural, name }: { plural: 'alert-rules' | 'monitors'; name: string }) {
  const { t } = useTranslation();
  const { link } = useSession();
  if (isBuiltIn(name)) return <span>{name} <span className="muted">({t('state.builtIn')})</span></span>;
  return <Link to={link(`${plural}/${name}`)}>{name}</Link>;
}
