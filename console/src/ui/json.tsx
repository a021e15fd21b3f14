import { useState } from 'preact/hooks'
import { CopyButton } from './basics'

/** Beyond this depth, and in lists beyond this length, a value is folded at first. */
const OPEN_DEPTH = 3
const OPEN_ITEMS = 30

/** JSON to look through: objects and lists fold, and the whole can be copied. */
export function JsonView({ value, label = 'JSON' }: { value: unknown; label?: string }) {
  return (
    <div class="json" role="group" aria-label={label}>
      <CopyButton text={() => JSON.stringify(value, null, 2)} />
      <div class="json-body">
        <Node value={value} depth={0} />
      </div>
    </div>
  )
}

function Node({ name, value, depth }: { name?: string | number; value: unknown; depth: number }) {
  const entries = inner(value)
  const [open, setOpen] = useState(depth < OPEN_DEPTH && (entries?.length ?? 0) <= OPEN_ITEMS)
  const key = name === undefined ? null : <span class="json-key">{typeof name === 'number' ? name : `${name}`}: </span>
  if (!entries) {
    return (
      <div class="json-line">
        {key}
        <Scalar value={value} />
      </div>
    )
  }
  const brackets = Array.isArray(value) ? '[]' : '{}'
  if (entries.length === 0) {
    return (
      <div class="json-line">
        {key}
        <span class="json-mark">{brackets}</span>
      </div>
    )
  }
  return (
    <div>
      <button type="button" class="json-fold" aria-expanded={open} onClick={() => setOpen(!open)}>
        <span class="json-arrow" aria-hidden="true" />
        {key}
        <span class="json-mark">{open ? brackets[0] : `${brackets[0]} ${entries.length} ${brackets[1]}`}</span>
      </button>
      {open && (
        <>
          <div class="json-inner">
            {entries.map(([at, item]) => (
              <Node key={at} name={at} value={item} depth={depth + 1} />
            ))}
          </div>
          <div class="json-mark json-end">{brackets[1]}</div>
        </>
      )}
    </div>
  )
}

function Scalar({ value }: { value: unknown }) {
  if (typeof value === 'string') return <span class="json-text">{JSON.stringify(value)}</span>
  return <span class="json-value">{String(value)}</span>
}

function inner(value: unknown): [string | number, unknown][] | null {
  if (Array.isArray(value)) return value.map((item, index) => [index, item])
  if (typeof value === 'object' && value !== null) return Object.entries(value)
  return null
}
