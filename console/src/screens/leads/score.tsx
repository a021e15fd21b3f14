import { Badge } from '../../ui'

export const STATUSES = ['new', 'contacted', 'qualified', 'unqualified', 'converted', 'lost'] as const

/** As lead_agent calls it: hot from 70, warm from 45. */
export function tierOf(score: number): 'hot' | 'warm' | 'cold' {
  return score >= 70 ? 'hot' : score >= 45 ? 'warm' : 'cold'
}

export function Score({ value }: { value: number | null }) {
  if (value === null) return <span class="quiet">Not analyzed</span>
  const tier = tierOf(value)
  return <Badge status={tier} label={`${value} ${tier}`} />
}
