/** Who is told and how: the kinds that {@link ResourcePage} shows, and the fields of each. */

import { Tag } from 'antd';
import { useTranslation } from 'react-i18next';
import { LEVELS, type Resource } from '@/api/types';
import { ListField, MapField, NumberField, ReferencesField, SecretField, SelectField, SwitchField, TextField, type Option } from '@/documents/fields';
import type { ResourceKind } from '@/documents/ResourcePage';
import { LANGUAGES } from '@/i18n';
import { EnabledTag } from '@/parts/tags';
import { TargetField, targetOf } from './TargetField';
import { LevelsField } from './LevelsField';

const options = (values: readonly string[]): Option[] => values.map((value) => ({ value, label: value }));
const text = (value: unknown) => (typeof value === 'string' || typeof value === 'number' ? String(value) : '–');
const names = (value: unknown) => (Array.isArray(value) ? value.map((name) => <Tag key={String(name)}>{String(name)}</Tag>) : '–');
const spec = (resource: Resource) => resource.spec;

function ContactFields() {
  const { t } = useTranslation();
  return (
    <div className="columns-2">
      <TextField path="spec.email" label={t('contact.email')} placeholder="alice@example.com" />
      <TextField path="spec.phone" label={t('contact.phone')} />
      <TextField path="spec.dingtalk.mobile" label={t('contact.dingtalk')} help={t('contact.dingtalkHelp')} />
      <TextField path="spec.timezone" label={t('form.timezone')} placeholder="Asia/Shanghai" />
      <SelectField path="spec.language" label={t('account.language')} clearable options={Object.entries(LANGUAGES).map(([value, label]) => ({ value, label }))} />
    </div>
  );
}

function GroupFields() {
  const { t } = useTranslation();
  return (
    <>
      <ReferencesField path="spec.contacts" plural="contacts" label={t('nav.contacts')} />
      <ReferencesField path="spec.robots" plural="dingtalk-robots" label={t('nav.dingtalk-robots')} />
      <ReferencesField path="spec.webhooks" plural="webhooks" label={t('nav.webhooks')} />
    </>
  );
}

function RobotFields() {
  const { t } = useTranslation();
  return (
    <>
      <SecretField path="spec.url" label={t('robot.url')} help={t('robot.urlHelp')} required />
      <SecretField path="spec.secret" label={t('robot.secret')} help={t('robot.secretHelp')} />
      <ListField path="spec.keywords" label={t('robot.keywords')} help={t('robot.keywordsHelp')} free />
      <ListField path="spec.at.mobiles" label={t('robot.mobiles')} free />
      <div className="columns-2">
        <SwitchField path="spec.at.all" label={t('robot.atAll')} />
        <NumberField path="spec.max_per_minute" label={t('robot.maxPerMinute')} min={1} max={20} />
      </div>
    </>
  );
}

function WebhookFields() {
  const { t } = useTranslation();
  return (
    <>
      <TextField path="spec.url" label={t('webhook.url')} placeholder="https://example.com/hooks/alerts" required />
      <div className="columns-2">
        <SelectField path="spec.format" label={t('webhook.format')} fallback="nightjar" options={options(['nightjar', 'alertmanager', 'text'])} />
        <SwitchField path="spec.global" label={t('webhook.global')} help={t('webhook.globalHelp')} />
        <TextField path="spec.access_key" label={t('webhook.accessKey')} />
        <SecretField path="spec.secret_key" label={t('webhook.secretKey')} help={t('webhook.secretKeyHelp')} />
      </div>
      <MapField path="spec.headers" label={t('webhook.headers')} secret />
      <MapField path="spec.params" label={t('webhook.params')} />
    </>
  );
}

function EmailServerFields() {
  const { t } = useTranslation();
  return (
    <>
      <div className="columns-2">
        <TextField path="spec.host" label={t('email.host')} placeholder="smtp.example.com" required />
        <NumberField path="spec.port" label={t('email.port')} help={t('email.portHelp')} min={1} max={65535} />
        <SelectField path="spec.tls" label={t('email.tls')} fallback="starttls" options={options(['starttls', 'tls', 'none'])} />
        <TextField path="spec.from" label={t('email.from')} placeholder="Nightjar <alerts@example.com>" required />
        <TextField path="spec.username" label={t('session.userName')} />
        <SecretField path="spec.password" label={t('session.password')} />
      </div>
      <TextField path="spec.ca" label={t('email.ca')} help={t('email.caHelp')} rows={2} mono />
    </>
  );
}

function SubscriptionFields() {
  const { t } = useTranslation();
  return (
    <>
      <ReferencesField path="spec.to" plural="contact-groups" label={t('subscription.to')} required />
      <TargetField path="spec.target" label={t('subscription.target')} />
      <LevelsField path="spec.levels" label={t('subscription.levels')} />
      <SwitchField path="spec.enabled" label={t('state.enabled')} fallback />
    </>
  );
}

export const RECEIVER_KINDS: readonly ResourceKind[] = [
  {
    kind: 'Contact',
    plural: 'contacts',
    blank: {},
    test: 'send',
    fields: <ContactFields />,
    columns: (t) => [
      { title: t('contact.email'), key: 'email', render: (_, r) => text(spec(r)['email']) },
      { title: t('contact.phone'), key: 'phone', render: (_, r) => text(spec(r)['phone']) },
      { title: t('contact.dingtalk'), key: 'dingtalk', render: (_, r) => text((spec(r)['dingtalk'] as { mobile?: string } | undefined)?.mobile) },
    ],
  },
  {
    kind: 'ContactGroup',
    plural: 'contact-groups',
    blank: {},
    fields: <GroupFields />,
    columns: (t) => [
      { title: t('nav.contacts'), key: 'contacts', render: (_, r) => names(spec(r)['contacts']) },
      { title: t('nav.dingtalk-robots'), key: 'robots', render: (_, r) => names(spec(r)['robots']) },
      { title: t('nav.webhooks'), key: 'webhooks', render: (_, r) => names(spec(r)['webhooks']) },
    ],
  },
  {
    kind: 'DingtalkRobot',
    plural: 'dingtalk-robots',
    blank: { url: '' },
    test: 'send',
    fields: <RobotFields />,
    columns: (t) => [
      { title: t('robot.keywords'), key: 'keywords', render: (_, r) => names(spec(r)['keywords']) },
      { title: t('robot.maxPerMinute'), key: 'max', render: (_, r) => text(spec(r)['max_per_minute']) },
    ],
  },
  {
    kind: 'Webhook',
    plural: 'webhooks',
    blank: { url: '' },
    test: 'send',
    fields: <WebhookFields />,
    columns: (t) => [
      { title: t('webhook.url'), key: 'url', render: (_, r) => <span className="mono">{text(spec(r)['url'])}</span> },
      { title: t('webhook.format'), key: 'format', render: (_, r) => text(spec(r)['format']) },
      { title: t('webhook.global'), key: 'global', render: (_, r) => (spec(r)['global'] === true ? t('state.yes') : t('state.no')) },
    ],
  },
  {
    kind: 'EmailServer',
    plural: 'email-servers',
    blank: { host: '', from: '' },
    test: 'send-to',
    fields: <EmailServerFields />,
    columns: (t) => [
      { title: t('email.host'), key: 'host', render: (_, r) => text(spec(r)['host']) },
      { title: t('email.tls'), key: 'tls', render: (_, r) => text(spec(r)['tls']) },
      { title: t('email.from'), key: 'from', render: (_, r) => text(spec(r)['from']) },
    ],
  },
  {
    kind: 'Subscription',
    plural: 'subscriptions',
    blank: { to: [], target: { all: true }, levels: 'all' },
    fields: <SubscriptionFields />,
    columns: (t) => [
      { title: t('subscription.target'), key: 'target', render: (_, r) => {
        const [type, name] = targetOf(spec(r)['target']);
        return `${t(`target.${type}`)} ${name}`;
      } },
      { title: t('subscription.levels'), key: 'levels', render: (_, r) => (Array.isArray(spec(r)['levels']) ? names(spec(r)['levels']) : LEVELS.join(' ')) },
      { title: t('subscription.to'), key: 'to', render: (_, r) => names(spec(r)['to']) },
      { title: t('state.state'), key: 'enabled', render: (_, r) => <EnabledTag enabled={spec(r)['enabled'] !== false} /> },
    ],
  },
];
