import type { ComponentChildren } from 'preact'
import { useMemo, useRef, useState } from 'preact/hooks'
import { asApiError, type FieldError } from '../api/errors'
import { Button } from '../ui'
import { cleaned, fieldOf, initialOf } from './fields'
import { ObjectFields } from './inputs'
import { JsonEditor } from './json-editor'
import { parseJson } from './json-text'
import type { Schema } from './schema'
import { type Issue, validate } from './validate'

interface Props {
  schema: Schema
  /** What the form begins with; `key` the component by it to begin anew. */
  value?: unknown
  /** What the button says. */
  verb: string
  /** Sends the value. An ApiError's details are shown at their fields. */
  onSubmit: (value: unknown) => Promise<unknown>
  /** What the API puts before the names of fields in its details, such as `input`. */
  prefix?: string
  children?: ComponentChildren
}

/** A form of a JSON Schema, beside which the same value can be edited as JSON. */
export function SchemaForm({ schema, value, verb, onSubmit, prefix = '', children }: Props) {
  const field = useMemo(() => fieldOf(schema), [schema])
  const [draft, setDraft] = useState<unknown>(() => value ?? initialOf(field) ?? {})
  const [text, setText] = useState<string | null>(() =>
    field.kind === 'object' ? null : JSON.stringify(draft, null, 2),
  )
  const [issues, setIssues] = useState<Issue[]>([])
  const [busy, setBusy] = useState(false)
  const form = useRef<HTMLFormElement>(null)
  const asText = text !== null

  const submit = async () => {
    const parsed = asText ? parseJson(text) : { value: cleaned(draft, field) ?? {}, error: null }
    if (parsed.error) return
    const own = validate(parsed.value, schema)
    setIssues(asText ? [] : own)
    if (own.length > 0) {
      setTimeout(() => form.current?.querySelector<HTMLElement>('[aria-invalid="true"]')?.focus())
      return
    }
    setBusy(true)
    try {
      await onSubmit(parsed.value)
    } catch (reason) {
      const error = asApiError(reason)
      setIssues(
        error.details.length > 0
          ? error.details.map((issue) => relative(issue, prefix))
          : [{ place: '', message: error.message }],
      )
    }
    setBusy(false)
  }

  const toggle = () => {
    setIssues([])
    if (text === null) setText(JSON.stringify(cleaned(draft, field) ?? {}, null, 2))
    else {
      const parsed = parseJson(text)
      if (parsed.error) return
      setDraft(parsed.value)
      setText(null)
    }
  }

  const shown = new Set(asText ? [] : placesOf(issues, draft))
  return (
    <form
      class="form"
      ref={form}
      noValidate
      onSubmit={(event) => {
        event.preventDefault()
        void submit()
      }}
    >
      {asText ? (
        <JsonEditor label="Input as JSON" text={text} onText={setText} schema={schema} issues={issues} />
      ) : (
        field.kind === 'object' && (
          <ObjectFields field={field} value={draft} onChange={setDraft} place="" issues={issues} />
        )
      )}
      {!asText && (
        <div role="alert">
          {issues
            .filter(({ place }) => !shown.has(place))
            .map(({ place, message }) => (
              <p class="error-text" key={place + message}>
                {place && <code>{place}</code>} {message}
              </p>
            ))}
        </div>
      )}
      <div class="form-actions">
        <Button type="submit" kind="primary" busy={busy}>
          {verb}
        </Button>
        {children}
        <span class="spacer" />
        {field.kind === 'object' && (
          <Button kind="ghost" small onClick={toggle}>
            {asText ? 'Edit as a form' : 'Edit as JSON'}
          </Button>
        )}
      </div>
    </form>
  )

  /** Places that an input of the form shows itself. */
  function placesOf(all: Issue[], of: unknown): string[] {
    return all.map(({ place }) => place).filter((place) => place !== '' && isShown(place, of))
  }

  function isShown(place: string, of: unknown): boolean {
    let at = field
    let inner: unknown = of
    for (const part of place.split('.')) {
      if (at.kind === 'object') {
        const found = at.fields.find(([name]) => name === part)
        if (!found) return false
        at = found[1]
        inner = (inner as Record<string, unknown> | undefined)?.[part]
      } else if (at.kind === 'list') {
        if (!Array.isArray(inner) || Number(part) >= inner.length) return false
        at = at.item
        inner = inner[Number(part)]
      } else return false
    }
    return true
  }
}

function relative({ field, message }: FieldError, prefix: string): Issue {
  if (field === prefix) return { place: '', message }
  return { place: prefix && field.startsWith(`${prefix}.`) ? field.slice(prefix.length + 1) : field, message }
}
