import { ResourcePage } from '@/documents/ResourcePage';
import { RECEIVER_KINDS } from './kinds';

export function ReceiversPage({ plural }: { plural: string }) {
  const kind = RECEIVER_KINDS.find((one) => one.plural === plural);
  return kind ? <ResourcePage kind={kind} /> : null;
}
