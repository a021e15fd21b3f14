import { expect, test } from 'vitest'
import {
  between,
  formatAge,
  formatCompact,
  formatDuration,
  formatExact,
  formatMoney,
  formatNumber,
  formatShare,
  humanize,
} from '../src/ui/format'

test.each([
  [0, '0 ms'],
  [340.4, '340 ms'],
  [999.6, '1 s'],
  [3200, '3.2 s'],
  [59_940, '59.9 s'],
  [59_960, '1 min'],
  [125_000, '2 min 5 s'],
  [12_000_000, '3 h 20 min'],
  [86_400_000 * 4 + 7_200_000, '4 d 2 h'],
  [-1500, '−1.5 s'],
])('a duration of %d ms reads %s', (ms, text) => expect(formatDuration(ms, 'en')).toBe(text))

test('a missing value is a dash, whatever it would have been', () => {
  for (const text of [
    formatDuration(null),
    formatNumber(undefined),
    formatAge(''),
    formatExact('x'),
    formatMoney(null, 'usd'),
  ])
    expect(text).toBe('–')
})

test.each([
  [-2_000, 'just now'],
  [-120_000, '2 min. ago'],
  [-59_700, '1 min. ago'],
  [3 * 3_600_000, 'in 3 hr.'],
  [-3 * 86_400_000, '3 days ago'],
  [-400 * 86_400_000, '1 yr. ago'],
])('a time %d ms away reads %s', (ms, text) =>
  expect(formatAge(1_700_000_000_000 + ms, 1_700_000_000_000, 'en')).toBe(text),
)

test('numbers follow the locale', () => {
  expect(formatNumber(1234.5, {}, 'de')).toBe('1.234,5')
  expect(formatDuration(3200, 'de')).toBe('3,2 s')
  expect(formatCompact(9_999, 'en')).toBe('9,999')
  expect(formatCompact(12_345, 'en')).toBe('12.3K')
  expect(formatShare(0.1234, 'en')).toBe('12.3%')
  expect(formatMoney(4900, 'jpy', 'en')).toBe('¥4,900')
  expect(formatMoney(5, 'not a currency', 'en')).toBe('5 not a currency')
})

test('the exact time names its zone', () => {
  expect(formatExact('2026-01-31T10:00:00Z', 'en-GB', 'UTC')).toBe('31 Jan 2026, 10:00:00 UTC')
})

test('a span ends now where it has no end', () => {
  expect(between('2026-01-31T10:00:00Z', '2026-01-31T10:00:01.5Z')).toBe(1500)
  expect(between('2026-01-31T10:00:00Z', null, Date.parse('2026-01-31T10:01:00Z'))).toBe(60_000)
  expect(between(null, null)).toBeNull()
})

test('codes become words', () => expect(humanize('RATE_LIMITED')).toBe('Rate limited'))
