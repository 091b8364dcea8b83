import { DatePicker, Segmented } from 'antd';
import dayjs from 'dayjs';
import { useTranslation } from 'react-i18next';
import type { Range } from './windows';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const SPANS = { '5m': 5 * MINUTE, '15m': 15 * MINUTE, '1h': HOUR, '6h': 6 * HOUR, '24h': 24 * HOUR, '7d': 168 * HOUR } as const;
type SpanName = keyof typeof SPANS;

/** `short` offers ranges in which seconds can be told apart. */
export function RangePicker({ range, short = false, onChange }: { range: Range; short?: boolean; onChange: (range: Range) => void }) {
  const { t } = useTranslation();
  const offered = (Object.keys(SPANS) as SpanName[]).filter((one) => short || SPANS[one] >= HOUR);
  const name = 'span' in range ? (Object.keys(SPANS) as SpanName[]).find((one) => SPANS[one] === range.span) : undefined;
  return (
    <span className="row">
      <Segmented<SpanName | undefined>
        value={name}
        options={offered.map((value) => ({ value, label: t(`range.${value}`) }))}
        onChange={(chosen) => chosen && onChange({ span: SPANS[chosen] })}
      />
      <DatePicker.RangePicker
        showTime={{ format: 'HH:mm' }}
        format="YYYY-MM-DD HH:mm"
        value={'span' in range ? null : [dayjs(range.from), dayjs(range.until)]}
        onChange={(chosen) => {
          const [from, until] = chosen ?? [];
          onChange(from && until ? { from: from.valueOf(), until: until.valueOf() } : { span: SPANS[short ? '5m' : '1h'] });
        }}
        disabledDate={(day) => day.isAfter(dayjs())}
        aria-label={t('range.custom')}
        style={{ maxWidth: 320 }}
      />
    </span>
  );
}
