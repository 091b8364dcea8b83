import { DatePicker, Segmented } from 'antd';
import dayjs from 'dayjs';
import { useTranslation } from 'react-i18next';
import type { Range } from './windows';

const HOUR = 3_600_000;
const SPANS = { '1h': HOUR, '6h': 6 * HOUR, '24h': 24 * HOUR, '7d': 168 * HOUR } as const;
type SpanName = keyof typeof SPANS;

export function RangePicker({ range, onChange }: { range: Range; onChange: (range: Range) => void }) {
  const { t } = useTranslation();
  const name = 'span' in range ? (Object.keys(SPANS) as SpanName[]).find((one) => SPANS[one] === range.span) : undefined;
  return (
    <span className="row">
      <Segmented<SpanName | undefined>
        value={name}
        options={(Object.keys(SPANS) as SpanName[]).map((value) => ({ value, label: t(`range.${value}`) }))}
        onChange={(chosen) => chosen && onChange({ span: SPANS[chosen] })}
      />
      <DatePicker.RangePicker
        showTime={{ format: 'HH:mm' }}
        format="YYYY-MM-DD HH:mm"
        value={'span' in range ? null : [dayjs(range.from), dayjs(range.until)]}
        onChange={(chosen) => {
          const [from, until] = chosen ?? [];
          onChange(from && until ? { from: from.valueOf(), until: until.valueOf() } : { span: SPANS['1h'] });
        }}
        disabledDate={(day) => day.isAfter(dayjs())}
        aria-label={t('range.custom')}
        style={{ maxWidth: 320 }}
      />
    </span>
  );
}
