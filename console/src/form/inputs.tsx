import { useId, useState } from 'preact/hooks'
import { Button, humanize } from '../ui'
import { amountOf, type Field, initialOf } from './fields'
import { parseJson } from './json-text'
import type { Issue } from './validate'

interface Props<F extends Field = Field> {
  field: F
  value: unknown
  onChange: (value: unknown) => void
  place: string
  issues: Issue[]
}

type Of<K extends Field['kind']> = Props<Extract<Field, { kind: K }>>

const at = (place: string, part: string | number) => (place ? `${place}.${part}` : String(part))

/** The input of a field, with its label, hint and issues. */
export function FieldInput(props: Props) {
  const { field, ...rest } = props
  switch (field.kind) {
    case 'object':
      return <ObjectInput {...rest} field={field} />
    case 'list':
      return <ListInput {...rest} field={field} />
    case 'boolean':
      return <BooleanInput {...rest} field={field} />
    default:
      return <SimpleInput {...rest} field={field} />
  }
}

/** The fields of an object, without a frame around them. */
export function ObjectFields({ field, value, onChange, place, issues }: Of<'object'>) {
  const own = (typeof value === 'object' && value !== null ? value : {}) as Record<string, unknown>
  return (
    <div class="form-group">
      {field.fields.map(([name, inner]) => (
        <FieldInput
          key={name}
          field={inner}
          value={own[name]}
          onChange={(next) => onChange({ ...own, [name]: next })}
          place={at(place, name)}
          issues={issues}
        />
      ))}
    </div>
  )
}

function ObjectInput(props: Of<'object'>) {
  const { field, value, onChange, place, issues } = props
  if (!field.required && value === undefined)
    return (
      <Button icon="plus" small onClick={() => onChange(initialOf(field) ?? {})}>
        {field.label}
      </Button>
    )
  return (
    <fieldset>
      <legend>{field.label}</legend>
      {field.hint && <Hint text={field.hint} />}
      <Issues of={issues} place={place} />
      <ObjectFields {...props} />
      {!field.required && (
        <Button icon="trash" small kind="ghost" onClick={() => onChange(undefined)}>
          Remove
        </Button>
      )}
    </fieldset>
  )
}

function ListInput({ field, value, onChange, place, issues }: Of<'list'>) {
  const items = Array.isArray(value) ? value : []
  const replace = (index: number, item: unknown) => onChange(items.map((one, other) => (other === index ? item : one)))
  const full = field.schema.maxItems !== undefined && items.length >= field.schema.maxItems
  return (
    <fieldset>
      <legend>
        {field.label} {!field.required && <span class="optional">(optional)</span>}
      </legend>
      {field.hint && <Hint text={field.hint} />}
      <Issues of={issues} place={place} />
      <div class="form-group">
        {items.map((item, index) => (
          <div class="form-item" key={index}>
            <FieldInput
              field={{ ...field.item, label: `${field.item.label} ${index + 1}`, hint: undefined }}
              value={item}
              onChange={(next) => replace(index, next)}
              place={at(place, index)}
              issues={issues}
            />
            <Button
              icon="trash"
              kind="ghost"
              aria-label={`Remove ${field.item.label} ${index + 1}`}
              onClick={() => onChange(items.filter((_, other) => other !== index))}
            />
          </div>
        ))}
        <div>
          <Button
            icon="plus"
            small
            disabled={full}
            onClick={() => onChange([...items, initialOf(field.item) ?? emptyOf(field.item)])}
          >
            Add {field.item.label.toLowerCase()}
          </Button>
        </div>
      </div>
    </fieldset>
  )
}

function emptyOf(field: Field): unknown {
  return field.kind === 'object' ? {} : field.kind === 'boolean' ? false : ''
}

function BooleanInput({ field, value, onChange, place, issues }: Of<'boolean'>) {
  const id = useId()
  return (
    <div class="field">
      <div class="check">
        <input
          id={id}
          type="checkbox"
          checked={value === true}
          onChange={(event) => onChange(event.currentTarget.checked)}
        />
        <label for={id}>{field.label}</label>
      </div>
      {field.hint && <Hint text={field.hint} />}
      <Issues of={issues} place={place} />
    </div>
  )
}

function SimpleInput({ field, value, onChange, place, issues }: Props) {
  const id = useId()
  const own = issues.filter((issue) => issue.place === place)
  const common = {
    id,
    'aria-invalid': own.length > 0,
    'aria-describedby': `${id}h ${id}f`,
    'aria-required': field.required,
  }
  return (
    <div class={(field.kind === 'text' && field.long) || field.kind === 'json' ? 'field long' : 'field'}>
      <label for={id}>
        {field.label} {!field.required && <span class="optional">(optional)</span>}
      </label>
      <Control field={field} value={value} onChange={onChange} common={common} />
      {field.hint && <Hint text={field.hint} id={`${id}h`} />}
      <Issues of={issues} place={place} id={`${id}f`} />
    </div>
  )
}

function Control({
  field,
  value,
  onChange,
  common,
}: {
  field: Field
  value: unknown
  onChange: (value: unknown) => void
  common: object
}) {
  switch (field.kind) {
    case 'choice':
      return (
        <select
          {...common}
          value={value === undefined || value === null ? '' : JSON.stringify(value)}
          onChange={(event) =>
            onChange(event.currentTarget.value === '' ? undefined : JSON.parse(event.currentTarget.value))
          }
        >
          {(!field.required || value === undefined) && <option value="">–</option>}
          {field.options.map((option) => (
            <option key={String(option)} value={JSON.stringify(option)}>
              {typeof option === 'string' ? humanize(option) : String(option)}
            </option>
          ))}
        </select>
      )
    case 'number':
      return (
        <input
          {...common}
          type="number"
          step={field.whole ? 1 : 'any'}
          min={field.schema.minimum}
          max={field.schema.maximum}
          value={typeof value === 'number' ? value : ''}
          onInput={(event) =>
            onChange(event.currentTarget.value === '' ? undefined : event.currentTarget.valueAsNumber)
          }
        />
      )
    case 'amount':
      return (
        <input
          {...common}
          type="text"
          inputMode="decimal"
          value={value === undefined || value === null ? '' : String(value)}
          onInput={(event) => onChange(amountOf(event.currentTarget.value))}
        />
      )
    case 'json':
      return <JsonText common={common} value={value} onChange={onChange} />
    default: {
      const text = typeof value === 'string' ? value : ''
      if (field.kind === 'text' && field.long)
        return <textarea {...common} rows={4} value={text} onInput={(event) => onChange(event.currentTarget.value)} />
      return (
        <input
          {...common}
          type={field.kind === 'text' ? field.input : 'text'}
          value={text}
          onInput={(event) => onChange(event.currentTarget.value)}
        />
      )
    }
  }
}

/** Text that is not JSON yet is not applied; it stays as typed. */
function JsonText({ common, value, onChange }: { common: object; value: unknown; onChange: (value: unknown) => void }) {
  const [text, setText] = useState(() => (value === undefined ? '' : JSON.stringify(value, null, 2)))
  const error = text.trim() === '' ? null : parseJson(text).error
  return (
    <>
      <textarea
        {...common}
        class="mono"
        rows={5}
        spellcheck={false}
        placeholder="JSON"
        value={text}
        onInput={(event) => {
          const next = event.currentTarget.value
          setText(next)
          const parsed = next.trim() === '' ? { value: undefined, error: null } : parseJson(next)
          if (!parsed.error) onChange(parsed.value)
        }}
      />
      {error && (
        <span class="error-text">
          Line {error.line}: {error.message}
        </span>
      )}
    </>
  )
}

function Issues({ of, place, id }: { of: Issue[]; place: string; id?: string }) {
  const own = of.filter((issue) => issue.place === place)
  if (own.length === 0) return null
  return (
    <span class="error-text" id={id} role="alert">
      {own.map(({ message }) => message.charAt(0).toUpperCase() + message.slice(1)).join('. ')}
    </span>
  )
}

/** Names in backticks are code. */
function Hint({ text, id }: { text: string; id?: string }) {
  return (
    <span class="hint" id={id}>
      {text.split('`').map((part, index) => (index % 2 ? <code key={index}>{part}</code> : part))}
    </span>
  )
}
