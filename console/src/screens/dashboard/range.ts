/** The days that the figures are about, as they stand in the address of the page. */
export const PRESETS: [string, string][] = [
  ['7', 'Last 7 days'],
  ['30', 'Last 30 days'],
  ['90', 'Last 90 days'],
  ['365', 'Last 12 months'],
  ['custom', 'From a day to a day'],
]

export const AGGREGATIONS = ['daily', 'weekly', 'monthly'] as const
export type Aggregation = (typeof AGGREGATIONS)[number]

export interface Chosen {
  range: string
  from: string
  to: string
  by: string
  zone: string
}

export interface RangeParams {
  start_date?: string
  end_date?: string
  aggregation: Aggregation
  time_zone: string
}

/** The parameters of the API. A range that ends today names no end, so that it moves on with the days. */
export function paramsOf(chosen: Chosen, now = Date.now()): RangeParams {
  const time_zone = chosen.zone || browserZone()
  const days = Number(chosen.range) || 30
  const custom = chosen.range === 'custom' && chosen.from !== ''
  const aggregation = AGGREGATIONS.find((one) => one === chosen.by) ?? groupingOf(custom ? 30 : days)
  if (custom) {
    return {
      start_date: chosen.from,
      ...(chosen.to ? { end_date: chosen.to } : {}),
      aggregation,
      time_zone,
    }
  }
  // 30 days are what the API takes where no day is named.
  return { ...(days === 30 ? {} : { start_date: daysBefore(days - 1, time_zone, now) }), aggregation, time_zone }
}

export function groupingOf(days: number): Aggregation {
  return days > 200 ? 'monthly' : days > 31 ? 'weekly' : 'daily'
}

/** The day so many days before today in a zone, as 2026-01-31. */
export function daysBefore(days: number, timeZone: string, now = Date.now()): string {
  const parts = new Intl.DateTimeFormat('en-CA', { timeZone, year: 'numeric', month: '2-digit', day: '2-digit' })
  const today = new Date(`${parts.format(now)}T12:00:00Z`)
  return new Date(today.getTime() - days * 86_400_000).toISOString().slice(0, 10)
}

export function browserZone(): string {
  return Intl.DateTimeFormat().resolvedOptions().timeZone || 'UTC'
}

/** All zones by their IANA names: the browser's own first, then UTC. */
export function zones(chosen: string): string[] {
  const known = Intl.supportedValuesOf('timeZone')
  return [...new Set([browserZone(), 'UTC', ...(chosen ? [chosen] : []), ...known])]
}

/** A day of the API in seconds, at the midnight of the browser's zone, where charts write it as that day. */
export function secondsOf(day: string): number {
  return new Date(`${day}T00:00:00`).getTime() / 1000
}

/** A day as people write it, whatever the browser's zone. */
export function dayOf(day: string): string {
  return new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeZone: 'UTC' }).format(new Date(`${day}T12:00Z`))
}
