import { signal } from '@preact/signals'
import { Icon } from './icons'

interface Toast {
  id: number
  text: string
  tone: 'info' | 'good' | 'error'
}

const SHOWN_MS = 6_000
const toasts = signal<Toast[]>([])
let last = 0

/** A short message at the edge of the page, announced by screen readers. */
export function toast(text: string, tone: Toast['tone'] = 'info'): void {
  const id = ++last
  toasts.value = [...toasts.value, { id, text, tone }].slice(-4)
  setTimeout(() => dismiss(id), SHOWN_MS)
}

function dismiss(id: number): void {
  toasts.value = toasts.value.filter((one) => one.id !== id)
}

export function Toasts() {
  return (
    <div class="toasts" role="status" aria-live="polite">
      {toasts.value.map(({ id, text, tone }) => (
        <div class={`toast ${tone}`} key={id}>
          <span>{text}</span>
          <button type="button" class="button ghost small icon-only" aria-label="Dismiss" onClick={() => dismiss(id)}>
            <Icon name="close" />
          </button>
        </div>
      ))}
    </div>
  )
}
