import { MinusCircleOutlined, PlusOutlined } from '@ant-design/icons';
import { Button, Input, Select, Space } from 'antd';
import { useTranslation } from 'react-i18next';
import type { PathPattern } from '@/api/types';
import { Field, type FieldProps } from '@/documents/fields';

export function PathsField(field: FieldProps) {
  const { t } = useTranslation();
  return (
    <Field {...field}>
      {({ id, value, disabled, set }) => {
        const paths = (Array.isArray(value) ? value : []) as PathPattern[];
        const change = (index: number, next: PathPattern) => set(paths.with(index, next));
        return (
          <div id={id} role="group" style={{ display: 'grid', gap: 6 }}>
            {paths.map((pattern, index) => {
              const glob = 'glob' in pattern;
              const text = glob ? pattern.glob : pattern.path;
              return (
                <Space.Compact block key={index}>
                  <Select
                    value={glob ? 'glob' : 'path'}
                    disabled={disabled}
                    aria-label={t('monitor.pathType')}
                    options={[{ value: 'path', label: t('monitor.path') }, { value: 'glob', label: t('monitor.glob') }]}
                    onChange={(type) => change(index, type === 'glob' ? { glob: text } : { path: text })}
                    style={{ width: 110 }}
                  />
                  <Input className="mono" value={text} disabled={disabled} aria-label={t('monitor.path')} onChange={(event) => change(index, glob ? { glob: event.target.value } : { path: event.target.value })} data-testid={`path-${index}`} />
                  {!disabled && <Button icon={<MinusCircleOutlined />} aria-label={t('action.remove')} onClick={() => set(paths.toSpliced(index, 1))} />}
                </Space.Compact>
              );
            })}
            {!disabled && <Button type="dashed" size="small" icon={<PlusOutlined />} onClick={() => set([...paths, { path: '' }])} style={{ justifySelf: 'start' }} data-testid="path-add">{t('monitor.addPath')}</Button>}
          </div>
        );
      }}
    </Field>
  );
}
