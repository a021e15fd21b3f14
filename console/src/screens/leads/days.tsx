import { SelectFilter } from '../../ui'

/** The moment so many days ago; of what is no number, none. */
export function daysAgo(days: string): string | undefined {
  return Number(days) > 0 ? new Date(Date.now() - Number(days) * 86_400_000).toISOString() : undefined
}

/** A filter by age, in days; `label` names what happened then. */
export function DaysFilter({
  label,
  value,
  onChange,
}: {
  label: string
  value: string
  onChange: (days: string) => void
}) {
  return (
    <SelectFilter
      label={label}
      any="At any time"
      value={value}
      options={[
        ['1', 'In the last day'],
        ['7', 'In the last 7 days'],
        ['30', 'In the last 30 days'],
        ['90', 'In the last 90 days'],
      ]}
      onChange={onChange}
    />
  )
}
