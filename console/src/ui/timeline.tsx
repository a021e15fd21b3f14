import { Duration } from './basics'
import { formatDuration, formatExact } from './format'

export interface Bar {
  key: string
  label: string
  note?: string
  status: string
  /** Milliseconds since 1970; a bar without an end goes on. */
  start: number | null
  end: number | null
  /** Parts of the bar, such as a wait before the work or an earlier attempt. */
  parts?: { kind: 'wait' | 'work' | 'failed'; start: number; end: number; title?: string }[]
}

interface Props {
  label: string
  bars: Bar[]
  now: number
  selected?: string
  onSelect?: (key: string) => void
}

/** What took how long, one bar a line on one scale. */
export function Timeline({ label, bars, now, selected, onSelect }: Props) {
  const starts = bars
    .flatMap((bar) => [bar.start, ...(bar.parts ?? []).map(({ start }) => start)])
    .filter((at) => at !== null)
  const from = starts.length ? Math.min(...starts) : now
  const to = Math.max(from + 1, ...bars.filter(({ start }) => start !== null).map(({ end }) => end ?? now))
  const percent = (at: number) => ((Math.min(at, to) - from) / (to - from)) * 100
  return (
    <div class="timeline">
      <ol aria-label={label}>
        {bars.map((bar) => {
          const parts =
            bar.parts ?? (bar.start === null ? [] : [{ kind: 'work' as const, start: bar.start, end: bar.end ?? now }])
          const took = bar.start === null ? null : (bar.end ?? now) - bar.start
          return (
            <li key={bar.key}>
              <button
                type="button"
                class="timeline-row"
                aria-pressed={selected === bar.key}
                onClick={() => onSelect?.(bar.key)}
              >
                <span class="timeline-name">
                  {bar.label}
                  {bar.note && <span class="quiet"> {bar.note}</span>}
                </span>
                <span class="timeline-track">
                  {parts.map((part) => (
                    <span
                      key={`${part.kind} ${part.start}`}
                      class={`timeline-bar ${part.kind === 'work' ? bar.status : part.kind}`}
                      style={{
                        left: `${percent(part.start)}%`,
                        width: `${Math.max(0.6, percent(part.end) - percent(part.start))}%`,
                      }}
                      title={`${part.title ?? bar.label}: ${formatDuration(part.end - part.start)}, from ${formatExact(part.start)}`}
                    />
                  ))}
                </span>
                <Duration ms={took} />
              </button>
            </li>
          )
        })}
      </ol>
    </div>
  )
}
