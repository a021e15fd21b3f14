/** Numbers, times and durations as people read them, in the reader's locale. The exact value goes into `title`. */

const MISSING = '–'

export function formatNumber(
  value: number | null | undefined,
  options: Intl.NumberFormatOptions = {},
  locale?: string,
) {
  if (value === null || value === undefined || !Number.isFinite(value)) return MISSING
  return new Intl.NumberFormat(locale, options).format(value)
}

/** A number with its noun: `1 run`, `1,234 runs`. */
export function formatCount(value: number, one: string, many = `${one}s`): string {
  return `${formatNumber(value)} ${value === 1 ? one : many}`
}

/** 1,234 as it is, 12,345 as 12.3K: for figures in small places. */
export function formatCompact(value: number | null | undefined, locale?: string): string {
  if (value === null || value === undefined) return MISSING
  if (Math.abs(value) < 10_000) return formatNumber(value, { maximumFractionDigits: 1 }, locale)
  return formatNumber(value, { notation: 'compact', maximumFractionDigits: 1 }, locale)
}

/** Of a share between 0 and 1. */
export function formatShare(value: number | null | undefined, locale?: string): string {
  return formatNumber(value, { style: 'percent', maximumFractionDigits: 1 }, locale)
}

/** `value` in major units; a code that is no currency is put behind the number. */
export function formatMoney(value: number | null | undefined, currency: string | null | undefined, locale?: string) {
  if (value === null || value === undefined) return MISSING
  try {
    return formatNumber(value, { style: 'currency', currency: (currency ?? 'usd').toUpperCase() }, locale)
  } catch {
    return `${formatNumber(value, {}, locale)} ${currency}`
  }
}

/** 340 ms, 3.2 s, 2 min 5 s, 3 h 20 min, 4 d 2 h. */
export function formatDuration(ms: number | null | undefined, locale?: string): string {
  if (ms === null || ms === undefined || !Number.isFinite(ms)) return MISSING
  const sign = ms < 0 ? '−' : ''
  const size = Math.abs(ms)
  const number = (value: number, digits = 0) => formatNumber(value, { maximumFractionDigits: digits }, locale)
  if (size < 999.5) return `${sign}${number(size)} ms`
  const seconds = size / 1000
  if (seconds < 59.95) return `${sign}${number(seconds, seconds < 10 ? 1 : 1)} s`
  const whole = Math.round(seconds)
  if (whole < 3600) return sign + joined(Math.floor(whole / 60), 'min', whole % 60, 's', number)
  const minutes = Math.round(whole / 60)
  if (minutes < 24 * 60) return sign + joined(Math.floor(minutes / 60), 'h', minutes % 60, 'min', number)
  const hours = Math.round(minutes / 60)
  return sign + joined(Math.floor(hours / 24), 'd', hours % 24, 'h', number)
}

function joined(large: number, unit: string, small: number, smaller: string, number: (value: number) => string) {
  return small === 0 ? `${number(large)} ${unit}` : `${number(large)} ${unit} ${small} ${smaller}`
}

const AGES: [Intl.RelativeTimeFormatUnit, number][] = [
  ['second', 60],
  ['minute', 60],
  ['hour', 24],
  ['day', 7],
  ['week', 4.348],
  ['month', 12],
  ['year', Number.POSITIVE_INFINITY],
]

/** "just now", "2 min ago", "in 3 hr." */
export function formatAge(time: string | number | Date | null | undefined, now: number = Date.now(), locale?: string) {
  const at = asTime(time)
  if (at === null) return MISSING
  let value = (at - now) / 1000
  if (Math.abs(value) < 5) return 'just now'
  for (const [unit, size] of AGES) {
    if (Math.abs(Math.round(value)) < size) {
      return new Intl.RelativeTimeFormat(locale, { numeric: 'always', style: 'short' }).format(Math.round(value), unit)
    }
    value /= size
  }
  return MISSING
}

type Time = string | number | Date | null | undefined

/** Date and time to the second with the zone, in the reader's zone unless another is named. */
export function formatExact(time: Time, locale?: string, timeZone?: string): string {
  return formatTime(time, { dateStyle: 'medium', timeStyle: 'long' }, locale, timeZone)
}

export function formatDate(time: Time, locale?: string, timeZone?: string): string {
  return formatTime(time, { dateStyle: 'medium' }, locale, timeZone)
}

function formatTime(time: Time, style: Intl.DateTimeFormatOptions, locale?: string, timeZone?: string): string {
  const at = asTime(time)
  if (at === null) return MISSING
  return new Intl.DateTimeFormat(locale, { ...style, ...(timeZone ? { timeZone } : {}) }).format(at)
}

/** Milliseconds between two times of the API; to `now` where the second is missing, null where the first is. */
export function between(from: string | null | undefined, to: string | null | undefined, now = Date.now()) {
  const start = asTime(from)
  if (start === null) return null
  return Math.max(0, (asTime(to) ?? now) - start)
}

/** Words for a code such as `lead_agent` or `RATE_LIMITED`. */
export function humanize(code: string): string {
  const words = code.replace(/[_-]+/g, ' ').trim().toLowerCase()
  return words.charAt(0).toUpperCase() + words.slice(1)
}

function asTime(time: Time): number | null {
  if (time === null || time === undefined || time === '') return null
  const at = time instanceof Date ? time.getTime() : new Date(time).getTime()
  return Number.isNaN(at) ? null : at
}
