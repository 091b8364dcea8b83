/** The formats of times that a name says, with an example of each. */

/** As `TimeFormat::NAMED` of the server has them. */
export const TIME_FORMATS: readonly (readonly [name: string, example: string])[] = [
  ['auto', ''],
  ['normal', '2016-12-13 10:00:14'],
  ['iso8601', '2016-12-13T10:00:14.123+08:00'],
  ['nginx', '2026/11/27 10:00:14'],
  ['apache', '27/Nov/2026:10:00:14 +0800'],
  ['asctime', 'Fri Nov 27 10:00:14 2026'],
  ['syslog', 'Nov 27 10:00:14'],
  ['month_first', 'May 08 01:13:52'],
  ['month_first_2', 'May 08 2017 01:13:52'],
  ['revert', '05-25-2017 18:28:42'],
  ['day_first', '25-05-2017 18:28:42'],
  ['tomcat', '27-Nov-2026 10:00:14.123'],
  ['redis', '27 Nov 2026 10:00:14.123'],
  ['klog', 'I1127 10:00:14.123456'],
  ['compact', '20261127 100014'],
  ['chinese', '2026年11月27日 10时00分14秒'],
  ['long', '1476064860000'],
  ['short_long', '1476064860'],
  ['epoch', '1476064860.123'],
  ['time_of_day', '10:00:14.123'],
  ['arrival', ''],
];

/** What stands before a pattern of strftime. */
export const STRFTIME = 'strftime:';

/** What is offered for what was typed: a pattern becomes a format by itself. */
export function typedFormat(typed: string): string | undefined {
  const text = typed.trim();
  if (!text.includes('%')) return undefined;
  return text.startsWith(STRFTIME) ? text : `${STRFTIME}${text}`;
}
