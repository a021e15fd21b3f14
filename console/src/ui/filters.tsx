import type { ComponentChildren } from 'preact'
import { useEffect, useId, useState } from 'preact/hooks'
import { useSearchParams } from 'wouter-preact'
import { Button } from './basics'

/** Filters in the address of the page, so that it can be shared and reloaded. `set` with '' removes one. */
export function useFilters<K extends string>(
  names: readonly K[],
): [Record<K, string>, (changes: Partial<Record<K, string>>) => void] {
  const [params, setParams] = useSearchParams()
  const values = Object.fromEntries(names.map((name) => [name, params.get(name) ?? ''])) as Record<K, string>
  const set = (changes: Partial<Record<K, string>>) =>
    setParams(
      (before) => {
        const next = new URLSearchParams(before)
        for (const [name, value] of Object.entries(changes)) {
          if (value) next.set(name, String(value))
          else next.delete(name)
        }
        return next
      },
      { replace: true },
    )
  return [values, set]
}

export function Filters({ children, onClear }: { children: ComponentChildren; onClear?: () => void }) {
  return (
    <search class="filters">
      {children}
      {onClear && (
        <Button kind="ghost" icon="close" onClick={onClear}>
          Clear
        </Button>
      )}
    </search>
  )
}

interface SelectProps {
  label: string
  value: string
  /** Values, or values with labels. */
  options: readonly (string | [string, string])[]
  onChange: (value: string) => void
  /** The label of "no choice"; without it one must be chosen. */
  any?: string
}

export function SelectFilter({ label, value, options, onChange, any }: SelectProps) {
  const id = useId()
  return (
    <div class="filter">
      <label for={id}>{label}</label>
      <select id={id} value={value} onChange={(event) => onChange(event.currentTarget.value)}>
        {any !== undefined && <option value="">{any}</option>}
        {options.map((option) => {
          const [code, text] = typeof option === 'string' ? [option, option] : option
          return (
            <option key={code} value={code}>
              {text}
            </option>
          )
        })}
      </select>
    </div>
  )
}

interface TextProps {
  label: string
  value: string
  onChange: (value: string) => void
  placeholder?: string
  type?: 'text' | 'search' | 'date' | 'datetime-local'
}

const PAUSE_MS = 350

/** A text that takes effect when typing pauses, or at Enter. */
export function TextFilter({ label, value, onChange, placeholder, type = 'search' }: TextProps) {
  const id = useId()
  const [text, setText] = useState(value)
  useEffect(() => setText(value), [value])
  useEffect(() => {
    if (text === value) return undefined
    const timer = setTimeout(() => onChange(text), PAUSE_MS)
    return () => clearTimeout(timer)
  }, [text])
  return (
    <div class="filter">
      <label for={id}>{label}</label>
      <input
        id={id}
        type={type}
        value={text}
        placeholder={placeholder}
        onInput={(event) => setText(event.currentTarget.value)}
        onKeyDown={(event) => event.key === 'Enter' && onChange(text)}
      />
    </div>
  )
}
