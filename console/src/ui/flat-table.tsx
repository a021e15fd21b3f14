import type { ComponentChildren } from 'preact'
import { humanize } from './format'

interface FlatTableProps {
  label: string
  /** Of the element that scrolls. */
  class: string
  rows: Record<string, unknown>[]
  cell: (name: string, value: unknown) => ComponentChildren
}

/** Objects of short values, a row each; it scrolls where it is wider than its place. */
export function FlatTable({ label, class: name, rows, cell }: FlatTableProps) {
  const names = [...new Set(rows.flatMap((row) => Object.keys(row)))]
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls, and must do so by keyboard
    <div class={name} tabIndex={0} role="group" aria-label={label}>
      <table aria-label={label}>
        <thead>
          <tr>
            {names.map((one) => (
              <th key={one} scope="col">
                {humanize(one)}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row, index) => (
            <tr key={index}>
              {names.map((one) => (
                <td key={one} class={typeof row[one] === 'number' ? 'number' : undefined}>
                  {cell(one, row[one])}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}
