import type { Ref } from 'preact'
import { useEffect, useId, useImperativeHandle, useRef, useState } from 'preact/hooks'
import type { Completion } from './completion'
import { Highlighted } from './highlighted'

export interface CodeAreaHandle {
  /** Puts the caret on a line, from 1. */
  go: (line: number) => void
}

interface Props {
  label: string
  text: string
  onText: (text: string) => void
  /** What may be written at the caret. */
  complete: (text: string, caret: number) => Completion | null
  /** Lines with issues, from 1. */
  invalid: ReadonlySet<number>
  describedBy: string
  handle: Ref<CodeAreaHandle>
}

interface Open extends Completion {
  chosen: number
  line: number
  column: number
}

/** A text of JSON with colours, line numbers, and a list of what may be written at the caret. */
export function CodeArea({ label, text, onText, complete, invalid, describedBy, handle }: Props) {
  const area = useRef<HTMLTextAreaElement>(null)
  const chosenItem = useRef<HTMLDivElement>(null)
  const [open, setOpen] = useState<Open | null>(null)
  const id = useId()

  useImperativeHandle(
    handle,
    () => ({
      go: (line) => {
        const lines = text.split('\n')
        const start = lines.slice(0, line - 1).reduce((sum, one) => sum + one.length + 1, 0)
        area.current?.focus()
        area.current?.setSelectionRange(start, start + (lines[line - 1]?.length ?? 0))
        document.getElementById(`${id}l${line}`)?.scrollIntoView({ block: 'center' })
      },
    }),
    [text],
  )
  useEffect(() => chosenItem.current?.scrollIntoView({ block: 'nearest' }), [open?.chosen])

  const suggest = (always: boolean) => {
    const element = area.current
    if (!element || element.selectionStart !== element.selectionEnd) return setOpen(null)
    const { value, selectionStart: caret } = element
    const found = complete(value, caret)
    // Outside of quotes suggestions come only when they are asked for.
    if (!found || (!always && found.from === found.to && !/[\w."]/.test(value[caret - 1] ?? ''))) return setOpen(null)
    const lines = value.slice(0, found.from).split('\n')
    setOpen({ ...found, chosen: 0, line: lines.length, column: lines.at(-1)?.length ?? 0 })
  }
  const accept = (index: number) => {
    const item = open?.items[index]
    if (!open || !item || !area.current) return
    write(area.current, open.from, open.to, item.insert)
    const caret = open.from + item.insert.length - item.back
    area.current.setSelectionRange(caret, caret)
    setOpen(null)
    if (item.back > 0) suggest(false)
  }
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key === ' ' && event.ctrlKey) {
      event.preventDefault()
      suggest(true)
      return
    }
    if (open) {
      const count = open.items.length
      const step = event.key === 'ArrowDown' ? 1 : event.key === 'ArrowUp' ? -1 : 0
      if (step) setOpen({ ...open, chosen: (open.chosen + step + count) % count })
      else if (event.key === 'Enter' || event.key === 'Tab') accept(open.chosen)
      else if (event.key === 'Escape') setOpen(null)
      else {
        if (event.key.startsWith('Arrow') || event.key === 'Home' || event.key === 'End') setOpen(null)
        return
      }
      event.preventDefault()
      event.stopPropagation()
    } else if (event.key === 'Enter' && !event.isComposing) {
      event.preventDefault()
      breakLine(event.currentTarget as HTMLTextAreaElement)
    }
  }

  return (
    <div class="code-area">
      <div class="code-stack">
        <Highlighted text={text} invalid={invalid} id={id} />
        <textarea
          ref={area}
          spellcheck={false}
          autocomplete="off"
          autocapitalize="off"
          wrap="off"
          aria-label={label}
          aria-describedby={describedBy}
          aria-invalid={invalid.size > 0}
          aria-autocomplete="list"
          aria-haspopup="listbox"
          aria-controls={open ? `${id}s` : undefined}
          aria-activedescendant={open ? `${id}s${open.chosen}` : undefined}
          value={text}
          onInput={(event) => {
            onText(event.currentTarget.value)
            suggest(false)
          }}
          onKeyDown={onKeyDown}
          onBlur={() => setOpen(null)}
          onClick={() => setOpen(null)}
        />
        {open && (
          <div
            class="suggestions"
            role="listbox"
            id={`${id}s`}
            aria-label="Suggestions"
            style={{
              top: `calc(${open.line} * var(--code-line))`,
              left: `min(calc(var(--code-gutter) + ${open.column}ch), calc(100% - 17rem))`,
            }}
          >
            {open.items.map((item, index) => (
              // biome-ignore lint/a11y/useKeyWithClickEvents: the text area has the keys
              <div
                key={item.label}
                ref={index === open.chosen ? chosenItem : undefined}
                id={`${id}s${index}`}
                role="option"
                tabIndex={-1}
                aria-selected={index === open.chosen}
                onPointerDown={(event) => event.preventDefault()}
                onClick={() => accept(index)}
              >
                <span>{item.label}</span>
                {item.note && <span class="quiet small">{item.note}</span>}
              </div>
            ))}
          </div>
        )}
      </div>
      <span class="hidden-visually" aria-live="polite">
        {open ? `${open.items.length} suggestions. ${open.items[open.chosen]?.label}` : ''}
      </span>
    </div>
  )
}

/** Writes as if it were typed, so that it can be undone. */
function write(area: HTMLTextAreaElement, from: number, to: number, text: string): void {
  area.focus()
  area.setSelectionRange(from, to)
  if (document.execCommand('insertText', false, text)) return
  area.setRangeText(text, from, to, 'end')
  area.dispatchEvent(new Event('input', { bubbles: true }))
}

/** A new line with the indentation of this one, deeper after an opening bracket. */
function breakLine(area: HTMLTextAreaElement): void {
  const { value, selectionStart: from, selectionEnd: to } = area
  const line = value.slice(value.lastIndexOf('\n', from - 1) + 1, from)
  const indent = /^ */.exec(line)?.[0] ?? ''
  const opened = /[{[]\s*$/.test(line)
  const closes = opened && /^\s*[}\]]/.test(value.slice(to))
  write(area, from, to, `\n${indent}${opened ? '  ' : ''}${closes ? `\n${indent}` : ''}`)
  if (closes) {
    const caret = from + 1 + indent.length + 2
    area.setSelectionRange(caret, caret)
  }
}
