import type { ComponentChildren } from 'preact'
import { Figure, formatCompact, formatMoney, formatNumber } from '../../ui'

export interface Changing {
  value: number | null
  change: number | null
}

export interface Money extends Changing {
  currency: string
  by_currency: (Changing & { currency: string })[]
}

/** By how much a figure has changed against the period of equal length before. `falling` where less is better. */
export function Change({ of, points = false, falling = false }: { of: Changing; points?: boolean; falling?: boolean }) {
  const change = of.change
  if (change === null) {
    return (
      <span class="change quiet" title="Nothing to compare with in the period before">
        <span aria-hidden="true">–</span>
        <span class="hidden-visually">Nothing to compare with</span>
      </span>
    )
  }
  const better = change === 0 ? '' : change > 0 !== falling ? 'up' : 'down'
  const size = formatNumber(Math.abs(change), { maximumFractionDigits: 1 })
  const unit = points ? 'points' : '%'
  const word = change > 0 ? 'Up' : change < 0 ? 'Down' : 'Unchanged'
  return (
    <span class={`change ${better}`} title="Against the period of equal length before">
      <span aria-hidden="true">{change > 0 ? '▲' : change < 0 ? '▼' : '■'}</span>
      <span class="hidden-visually">{word}</span> {size} {unit}
    </span>
  )
}

export function Count({ name, of, falling }: { name: string; of: Changing; falling?: boolean }) {
  return (
    <Figure
      name={name}
      value={formatCompact(of.value)}
      title={formatNumber(of.value)}
      change={<Change of={of} falling={falling ?? false} />}
    />
  )
}

/** Of a rate in percent, as the API has it. */
export function Rate({ name, of, falling }: { name: string; of: Changing; falling?: boolean }) {
  return <Figure name={name} value={percent(of.value)} change={<Change of={of} points falling={falling ?? false} />} />
}

/** Money in the currency of most payments; the others beside it, never added. */
export function Amount({ name, of }: { name: string; of: Money }) {
  const others = of.by_currency.filter(({ currency }) => currency !== of.currency)
  return (
    <Figure
      name={name}
      value={shortMoney(of.value, of.currency)}
      title={formatMoney(of.value, of.currency)}
      change={<Change of={of} />}
      note={
        others.length > 0
          ? `and ${others.map(({ value, currency }) => shortMoney(value, currency)).join(', ')}`
          : undefined
      }
    />
  )
}

export function percent(value: number | null): string {
  return value === null ? '–' : `${formatNumber(value, { maximumFractionDigits: 1 })} %`
}

/** Without cents from a thousand on. */
function shortMoney(value: number | null, currency: string): string {
  if (value === null || Math.abs(value) < 1000) return formatMoney(value, currency)
  return new Intl.NumberFormat(undefined, {
    style: 'currency',
    currency: currency.toUpperCase(),
    maximumFractionDigits: 0,
  }).format(value)
}

export interface Share {
  name: string
  value: number
  note?: ComponentChildren
}

/** Counts by a name, each with a bar of its share of the largest. */
export function Shares({ label, items, empty }: { label: string; items: Share[]; empty: string }) {
  const most = Math.max(1, ...items.map(({ value }) => value))
  if (items.length === 0) return <p class="quiet">{empty}</p>
  return (
    <ul class="shares" aria-label={label}>
      {items.map(({ name, value, note }) => (
        <li key={name}>
          <span>{name}</span>
          <span class="number">
            {formatNumber(value)} {note && <span class="quiet">{note}</span>}
          </span>
          <span class="share" aria-hidden="true">
            <span style={{ width: `${(value / most) * 100}%` }} />
          </span>
        </li>
      ))}
    </ul>
  )
}

/** Whole numbers alone: half a lead is no tick of an axis. */
export function wholeTicks(value: number): string {
  return Number.isInteger(value) ? formatCompact(value) : ''
}
