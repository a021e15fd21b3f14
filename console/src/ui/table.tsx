import type { ComponentChildren } from 'preact'
import { useRef, useState } from 'preact/hooks'
import { useLocation } from 'wouter-preact'
import { Button, Empty, ErrorState, Loading } from './basics'
import type { Pages } from './resource'

export interface Column<T> {
  name: string
  cell: (row: T) => ComponentChildren
  /** `wide` takes what is left; `narrow` columns are hidden on a phone. */
  kind?: 'wide' | 'narrow' | 'number'
}

interface TableProps<T> {
  label: string
  columns: Column<T>[]
  rows: T[]
  rowKey: (row: T) => string
  /** Where a row leads; Enter and a click open it. */
  href?: (row: T) => string
  /** Rows can be ticked where both are given. */
  selected?: Set<string>
  onSelect?: (keys: Set<string>) => void
}

/** A table with rows that are reached with the arrow keys, Home and End, and opened with Enter. */
export function Table<T>({ label, columns, rows, rowKey, href, selected, onSelect }: TableProps<T>) {
  const [active, setActive] = useState(0)
  const [, navigate] = useLocation()
  const body = useRef<HTMLTableSectionElement>(null)
  const selectable = selected && onSelect

  const move = (to: number) => {
    const index = Math.max(0, Math.min(rows.length - 1, to))
    setActive(index)
    body.current?.rows[index]?.focus()
  }
  const toggle = (key: string) => {
    if (!selectable) return
    const next = new Set(selected)
    if (!next.delete(key)) next.add(key)
    onSelect(next)
  }
  const onKeyDown = (event: KeyboardEvent, row: T, index: number) => {
    if (event.target !== event.currentTarget) return
    const steps: Record<string, number> = {
      ArrowDown: index + 1,
      ArrowUp: index - 1,
      Home: 0,
      End: rows.length - 1,
      j: index + 1,
      k: index - 1,
    }
    const to = steps[event.key]
    if (to !== undefined) move(to)
    else if (event.key === 'Enter' && href) navigate(href(row))
    else if (event.key === ' ' && selectable) toggle(rowKey(row))
    else return
    event.preventDefault()
  }

  return (
    <div class="table-frame">
      <table class="table" aria-label={label}>
        <thead>
          <tr>
            {selectable && (
              <th class="tick">
                <input
                  type="checkbox"
                  aria-label="Select all"
                  checked={rows.length > 0 && rows.every((row) => selected.has(rowKey(row)))}
                  onChange={(event) => onSelect(event.currentTarget.checked ? new Set(rows.map(rowKey)) : new Set())}
                />
              </th>
            )}
            {columns.map(({ name, kind }) => (
              <th key={name} class={kind} scope="col">
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody ref={body}>
          {rows.map((row, index) => {
            const key = rowKey(row)
            return (
              <tr
                key={key}
                tabIndex={index === Math.min(active, rows.length - 1) ? 0 : -1}
                aria-selected={selectable ? selected.has(key) : undefined}
                class={href ? 'link' : undefined}
                onFocus={() => setActive(index)}
                onKeyDown={(event) => onKeyDown(event, row, index)}
                onClick={(event) => {
                  const inner = (event.target as Element).closest('a, button, input, select, label')
                  if (href && !inner && !getSelection()?.toString()) navigate(href(row))
                }}
              >
                {selectable && (
                  <td class="tick">
                    <input
                      type="checkbox"
                      aria-label={`Select ${key}`}
                      checked={selected.has(key)}
                      onChange={() => toggle(key)}
                    />
                  </td>
                )}
                {columns.map(({ name, kind, cell }) => (
                  <td key={name} class={kind} data-name={name}>
                    {cell(row)}
                  </td>
                ))}
              </tr>
            )
          })}
        </tbody>
      </table>
    </div>
  )
}

interface PagedProps<T> extends Omit<TableProps<T>, 'rows'> {
  pages: Pages<T>
  empty: ComponentChildren
}

/** A table of a list of the API, with its empty, loading and error states, and a button for the next page. */
export function PagedTable<T>({ pages, empty, ...table }: PagedProps<T>) {
  const { items, error, reload } = pages
  if (items === undefined) return error ? <ErrorState error={error} retry={reload} /> : <Loading rows={6} />
  if (items.length === 0)
    return (
      <>
        {typeof empty === 'string' ? <Empty title={empty} /> : empty}
        {pages.more && <Paging pages={pages} />}
      </>
    )
  return (
    <>
      <Table {...table} rows={items} />
      <Paging pages={pages} />
    </>
  )
}

/** Below a list that has rows: how many are shown, and a button for the next page. */
export function Paging<T>({ pages: { items, error, loading, more, loadMore } }: { pages: Pages<T> }) {
  return (
    <div class="paging">
      <span class="quiet" aria-live="polite">
        {items?.length} shown{more ? '' : ', all there are'}
      </span>
      {error && <span class="error-text">{error.message}</span>}
      {more && (
        <Button busy={loading} onClick={loadMore}>
          Show more
        </Button>
      )}
    </div>
  )
}
