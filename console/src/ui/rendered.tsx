import { Badge } from './basics'
import { FlatTable } from './flat-table'
import { formatNumber, humanize } from './format'
import { Markdown } from './heavy'

const LONG = 90
const DEEPEST = 5
/** Fields that lead: what an agent says goes before its figures. */
const FIRST = ['summary', 'reply', 'title', 'body', 'content', 'text', 'message']
const STATES = new Set(['status', 'tier', 'severity'])

/** A result for people: texts as Markdown, lists as lists, lists of objects as tables. */
export function Rendered({ value, depth = 0 }: { value: unknown; depth?: number }) {
  if (value === null || value === undefined || value === '') return <span class="quiet">–</span>
  if (typeof value === 'boolean') return <>{value ? 'Yes' : 'No'}</>
  if (typeof value === 'number') return <span class="number">{formatNumber(value, { maximumFractionDigits: 4 })}</span>
  if (typeof value === 'string') return value.length > LONG || value.includes('\n') ? <Markdown text={value} /> : value
  if (depth > DEEPEST) return <code>{JSON.stringify(value)}</code>
  if (Array.isArray(value)) return <List items={value} depth={depth} />
  return <Fields value={value as Record<string, unknown>} depth={depth} />
}

function List({ items, depth }: { items: unknown[]; depth: number }) {
  if (items.length === 0) return <span class="quiet">None</span>
  if (items.every((item) => typeof item !== 'object' || item === null))
    return (
      <ul class="rendered-list">
        {items.map((item, index) => (
          <li key={index}>
            <Rendered value={item} depth={depth + 1} />
          </li>
        ))}
      </ul>
    )
  const rows = items.filter((item): item is Record<string, unknown> => typeof item === 'object' && item !== null)
  const names = [...new Set(rows.flatMap((row) => Object.keys(row)))]
  const flat =
    rows.length === items.length && names.length <= 6 && rows.every((row) => Object.values(row).every(isShort))
  if (!flat)
    return (
      <ol class="rendered-list">
        {items.map((item, index) => (
          <li key={index}>
            <Rendered value={item} depth={depth + 1} />
          </li>
        ))}
      </ol>
    )
  return (
    <FlatTable
      label="Table"
      class="rendered-table"
      rows={rows}
      cell={(name, value) => <Named name={name} value={value} depth={depth + 1} />}
    />
  )
}

function Fields({ value, depth }: { value: Record<string, unknown>; depth: number }) {
  const rank = (name: string) => (FIRST.indexOf(name) + FIRST.length + 1) % (FIRST.length + 1)
  const entries = Object.entries(value)
    .filter(([, inner]) => inner !== null && inner !== undefined && !(Array.isArray(inner) && inner.length === 0))
    .sort(([one], [other]) => rank(one) - rank(other))
  if (entries.length === 0) return <span class="quiet">None</span>
  const short = entries.filter(([, inner]) => isShort(inner))
  const long = entries.filter(([, inner]) => !isShort(inner))
  const lead = depth === 0 ? long.filter(([name]) => FIRST.includes(name)) : []
  return (
    <div class="rendered">
      {lead.map(([name, inner]) => (
        <div key={name} class="rendered-lead">
          <Rendered value={inner} depth={depth + 1} />
        </div>
      ))}
      {short.length > 0 && (
        <dl class="facts">
          {short.map(([name, inner]) => (
            <div key={name}>
              <dt>{humanize(name)}</dt>
              <dd>
                <Named name={name} value={inner} depth={depth + 1} />
              </dd>
            </div>
          ))}
        </dl>
      )}
      {long
        .filter((entry) => !lead.includes(entry))
        .map(([name, inner]) => (
          <section key={name}>
            <h3>{humanize(name)}</h3>
            <Rendered value={inner} depth={depth + 1} />
          </section>
        ))}
    </div>
  )
}

function Named({ name, value, depth }: { name: string; value: unknown; depth: number }) {
  if (STATES.has(name) && typeof value === 'string') return <Badge status={value} />
  if (typeof value === 'string' && /^#[0-9a-f]{6}$/i.test(value)) return <Swatch colour={value} />
  return <Rendered value={value} depth={depth} />
}

function Swatch({ colour }: { colour: string }) {
  return (
    <span class="swatch">
      <span style={{ background: colour }} aria-hidden="true" />
      <code>{colour}</code>
    </span>
  )
}

function isShort(value: unknown): boolean {
  if (typeof value === 'string') return value.length <= LONG && !value.includes('\n')
  return typeof value !== 'object' || value === null
}
