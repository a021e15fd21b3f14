import { useId, useState } from 'preact/hooks'
import { Button } from '../ui'
import { located, parseJson } from './json-text'
import type { Schema } from './schema'
import { type Issue, validate } from './validate'

interface Props {
  label: string
  text: string
  onText: (text: string) => void
  schema?: Schema
  /** Issues that the API found. */
  issues?: Issue[]
  rows?: number
}

/** A text of JSON with its issues by line. */
export function JsonEditor({ label, text, onText, schema, issues = [], rows = 14 }: Props) {
  const id = useId()
  const parsed = parseJson(text)
  const found = parsed.error ? [] : located(text, [...(schema ? validate(parsed.value, schema) : []), ...issues])
  const [area, setArea] = useState<HTMLTextAreaElement | null>(null)
  const go = (line: number) => {
    if (!area) return
    const start =
      text
        .split('\n')
        .slice(0, line - 1)
        .join('\n').length + (line > 1 ? 1 : 0)
    area.focus()
    area.setSelectionRange(start, start + (text.split('\n')[line - 1]?.length ?? 0))
  }
  const invalid = parsed.error !== null || found.length > 0
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <textarea
        id={id}
        ref={setArea}
        class="mono"
        rows={rows}
        spellcheck={false}
        value={text}
        aria-invalid={invalid}
        aria-describedby={`${id}f`}
        onInput={(event) => onText(event.currentTarget.value)}
      />
      <div id={`${id}f`} aria-live="polite">
        {parsed.error && (
          <p class="error-text">
            Line {parsed.error.line}, column {parsed.error.column}: {parsed.error.message}
          </p>
        )}
        {found.length > 0 && (
          <ul class="list">
            {found.map(({ place, message, line }) => (
              <li key={`${place} ${message}`}>
                <Button small kind="ghost" onClick={() => go(line)}>
                  Line {line}
                </Button>{' '}
                <span class="error-text">
                  {place && <code>{place}</code>} {message}
                </span>
              </li>
            ))}
          </ul>
        )}
      </div>
    </div>
  )
}
