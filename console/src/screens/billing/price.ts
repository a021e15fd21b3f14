import { formatMoney } from '../../ui'

export interface Billed {
  currency: string
  billing_interval: string
  billing_interval_count?: number
}

/** $149.00 a month, €300.00 every 3 months, or the price alone where it is paid once. */
export function priceOf(amount: number, billed: Billed): string {
  return `${formatMoney(amount, billed.currency)}${everyOf(billed)}`
}

export function everyOf({ billing_interval, billing_interval_count = 1 }: Billed): string {
  if (billing_interval === 'once') return ''
  return billing_interval_count === 1
    ? ` a ${billing_interval}`
    : ` every ${billing_interval_count} ${billing_interval}s`
}

export interface Period {
  first: number
  last: number | null
  price: number
}

/** What each part of a subscription costs: "First 3 months $119.20 each, then $149.00 a month". */
export function periodsOf(periods: Period[], billed: Billed): string {
  if (billed.billing_interval === 'once' || periods.length < 2) return ''
  const unit = billed.billing_interval
  return periods
    .map(({ first, last, price }, index) => {
      const amount = formatMoney(price, billed.currency)
      if (last === null) return `${index === 0 ? '' : 'then '}${amount} a ${unit}`
      const count = last - first + 1
      const which = index === 0 ? 'first' : 'next'
      return count === 1 ? `the ${which} ${unit} ${amount}` : `the ${which} ${count} ${unit}s ${amount} each`
    })
    .join(', ')
}
