/** Spans of time that lists are narrowed to, by their names in the address. */
export const SPANS: [string, string][] = [
  ['1h', 'Last hour'],
  ['24h', 'Last 24 hours'],
  ['7d', 'Last 7 days'],
  ['30d', 'Last 30 days'],
]
const MILLISECONDS: Record<string, number> = { '1h': 3.6e6, '24h': 864e5, '7d': 6048e5, '30d': 2592e6 }

/** When a span began; undefined for no span. */
export function beginOf(span: string, now = Date.now()): string | undefined {
  const size = MILLISECONDS[span]
  return size === undefined ? undefined : new Date(now - size).toISOString()
}

export function isUuid(text: string): boolean {
  return /^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$/i.test(text)
}
