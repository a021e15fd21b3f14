import { useEffect, useRef } from 'preact/hooks'
import uPlot from 'uplot'
import 'uplot/dist/uPlot.min.css'
import { formatCompact } from '../format'

export interface ChartProps {
  label: string
  /** Seconds since 1970, ascending. */
  times: number[]
  series: { name: string; values: (number | null)[]; tone?: 'accent' | 'bad' | 'good' | 'warn' }[]
  height?: number
  bars?: boolean
  format?: (value: number) => string
}

const TONES = { accent: '--accent', bad: '--bad', good: '--good', warn: '--warn' }
const MORE = ['--accent', '--warn', '--good', '--bad']

/** Lines or bars over time. The figures are in a table for screen readers. */
export default function Chart({
  label,
  times,
  series,
  height = 180,
  bars = false,
  format = formatCompact,
}: ChartProps) {
  const frame = useRef<HTMLDivElement>(null)
  const plot = useRef<uPlot | undefined>(undefined)
  const shape = JSON.stringify([series.map(({ name, tone }) => [name, tone]), bars, height])

  useEffect(() => {
    const element = frame.current
    if (!element) return undefined
    const build = () => {
      plot.current?.destroy()
      const style = getComputedStyle(element)
      const colour = (name: string) => style.getPropertyValue(name).trim()
      const axis = { stroke: colour('--quiet'), grid: { stroke: colour('--line'), width: 1 }, ticks: { show: false } }
      plot.current = new uPlot(
        {
          width: Math.max(120, element.clientWidth),
          height,
          cursor: { points: { size: 6 }, drag: { setScale: false } },
          legend: { show: series.length > 1, live: true },
          scales: { y: { range: (_, min, max) => [Math.min(0, min ?? 0), (max ?? 0) > 0 ? (max ?? 0) * 1.1 : 1] } },
          axes: [
            { ...axis, font: '11px system-ui' },
            { ...axis, font: '11px system-ui', size: 48, values: (_, ticks) => ticks.map((tick) => format(tick)) },
          ],
          series: [
            {},
            ...series.map(({ name, tone }, index) => {
              const stroke = colour(tone ? TONES[tone] : (MORE[index % MORE.length] as string))
              return {
                label: name,
                stroke,
                width: bars ? 0 : 2,
                fill: bars ? stroke : `color-mix(in srgb, ${stroke} 12%, transparent)`,
                points: { show: false },
                value: (_: uPlot, value: number | null) => (value === null ? '–' : format(value)),
                ...(bars && uPlot.paths.bars ? { paths: uPlot.paths.bars({ size: [0.7, 40] }) } : {}),
              }
            }),
          ],
        },
        [times, ...series.map(({ values }) => values)],
        element,
      )
    }
    build()
    const resized = new ResizeObserver(() =>
      plot.current?.setSize({ width: Math.max(120, element.clientWidth), height }),
    )
    resized.observe(element)
    const themed = new MutationObserver(build)
    themed.observe(document.documentElement, { attributes: true, attributeFilter: ['data-theme'] })
    const scheme = matchMedia('(prefers-color-scheme: dark)')
    scheme.addEventListener('change', build)
    return () => {
      resized.disconnect()
      themed.disconnect()
      scheme.removeEventListener('change', build)
      plot.current?.destroy()
    }
  }, [shape])

  useEffect(() => plot.current?.setData([times, ...series.map(({ values }) => values)]), [times, series])

  return (
    <figure class="chart" aria-label={label}>
      <div ref={frame} aria-hidden="true" />
      <div class="hidden-visually">
        <table>
          <caption>{label}</caption>
          <thead>
            <tr>
              <th scope="col">Time</th>
              {series.map(({ name }) => (
                <th scope="col" key={name}>
                  {name}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {times.map((time, row) => (
              <tr key={time}>
                <th scope="row">{new Date(time * 1000).toLocaleString()}</th>
                {series.map(({ name, values }) => (
                  <td key={name}>{values[row] ?? '–'}</td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </figure>
  )
}
