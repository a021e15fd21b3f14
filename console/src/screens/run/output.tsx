import type { ComponentChildren } from 'preact'
import { useState } from 'preact/hooks'
import { CopyButton, Facts, FlatTable, formatNumber, humanize, JsonView, Markdown } from '../../ui'
import './run.css'

/** What an agent made: prose as text, short values as facts, the rest as JSON; or all of it raw. */
export function Output({ value, label }: { value: unknown; label: string }) {
  const [raw, setRaw] = useState(false)
  if (value === null || value === undefined) return <p class="quiet">No output.</p>
  const plain = typeof value === 'object' && !Array.isArray(value)
  return (
    <div class="output">
      {plain && (
        <div class="output-head">
          <div class="switch" role="group" aria-label={`How ${label} is shown`}>
            <button type="button" aria-pressed={!raw} onClick={() => setRaw(false)}>
              Rendered
            </button>
            <button type="button" aria-pressed={raw} onClick={() => setRaw(true)}>
              Raw
            </button>
          </div>
          {!raw && <CopyButton text={() => proseOf(value as Record<string, unknown>)} label="Copy text" />}
        </div>
      )}
      {raw || !plain ? (
        <JsonView value={value} label={label} />
      ) : (
        <Rendered value={value as Record<string, unknown>} label={label} />
      )}
    </div>
  )
}

/** Names of fields that hold what was asked for; they are shown first and without a title. */
const MAIN = ['reply', 'body', 'summary', 'answer', 'text']
const LONG = 90

type Kind = 'main' | 'prose' | 'fact' | 'list' | 'facts' | 'table' | 'json' | 'empty'

function kindOf(name: string, value: unknown): Kind {
  if (value === null || value === undefined || value === '') return 'empty'
  if (typeof value === 'string') {
    if (MAIN.includes(name)) return 'main'
    return value.length > LONG || value.includes('\n') ? 'prose' : 'fact'
  }
  if (typeof value !== 'object') return 'fact'
  if (Array.isArray(value)) {
    if (value.length === 0) return 'empty'
    if (value.every((item) => typeof item === 'string')) return 'list'
    return value.every(isFlat) ? 'table' : 'json'
  }
  if (Object.keys(value).length === 0) return 'empty'
  return isFlat(value) ? 'facts' : 'json'
}

/** An object of short values. */
function isFlat(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
  return Object.values(value).every((part) => typeof part !== 'object' || part === null)
}

function Rendered({ value, label }: { value: Record<string, unknown>; label: string }) {
  const of = (...kinds: Kind[]) => Object.entries(value).filter(([name, part]) => kinds.includes(kindOf(name, part)))
  const facts = of('fact')
  return (
    <section class="rendered" aria-label={label}>
      {of('main').map(([name, text]) => (
        <Markdown key={name} text={text as string} />
      ))}
      {facts.length > 0 && <ShortFacts entries={facts} />}
      {of('prose').map(([name, text]) => (
        <Part key={name} name={name}>
          <Markdown text={text as string} />
        </Part>
      ))}
      {of('list').map(([name, items]) => (
        <Part key={name} name={name}>
          <ul>
            {(items as string[]).map((item) => (
              <li key={item}>{item}</li>
            ))}
          </ul>
        </Part>
      ))}
      {of('facts').map(([name, part]) => (
        <Part key={name} name={name}>
          <ShortFacts entries={Object.entries(part as Record<string, unknown>)} />
        </Part>
      ))}
      {of('table').map(([name, rows]) => (
        <Part key={name} name={name}>
          <FlatTable
            label={humanize(name)}
            class="rows"
            rows={rows as Record<string, unknown>[]}
            cell={(_, value) => shortly(value)}
          />
        </Part>
      ))}
      {of('json').map(([name, part]) => (
        <Part key={name} name={name}>
          <JsonView value={part} label={humanize(name)} />
        </Part>
      ))}
    </section>
  )
}

function Part({ name, children }: { name: string; children: ComponentChildren }) {
  return (
    <div class="output-part">
      <h3>{humanize(name)}</h3>
      {children}
    </div>
  )
}

function ShortFacts({ entries }: { entries: [string, unknown][] }) {
  return <Facts items={entries.map(([name, part]) => [humanize(name), shortly(part)])} />
}

function shortly(value: unknown): string {
  if (value === null || value === undefined || value === '') return '–'
  if (typeof value === 'boolean') return value ? 'Yes' : 'No'
  if (typeof value === 'number') return formatNumber(value)
  return String(value)
}

function proseOf(value: Record<string, unknown>): string {
  const texts = MAIN.map((name) => value[name]).filter((text) => typeof text === 'string')
  return texts.length ? texts.join('\n\n') : JSON.stringify(value, null, 2)
}
