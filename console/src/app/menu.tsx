import type { ComponentChildren } from 'preact'
import { useEffect, useRef, useState } from 'preact/hooks'

/** A button that opens a panel below it; Escape and a click elsewhere close it. */
export function Menu({
  label,
  button,
  children,
  class: more = '',
}: {
  label: string
  button: ComponentChildren
  children: (close: () => void) => ComponentChildren
  class?: string
}) {
  const [open, setOpen] = useState(false)
  const frame = useRef<HTMLDivElement>(null)
  useEffect(() => {
    if (!open) return undefined
    const outside = (event: Event) => {
      if (!frame.current?.contains(event.target as Node)) setOpen(false)
    }
    const onKey = (event: KeyboardEvent) => {
      if (event.key !== 'Escape') return
      setOpen(false)
      frame.current?.querySelector('button')?.focus()
    }
    addEventListener('pointerdown', outside)
    addEventListener('focusin', outside)
    addEventListener('keydown', onKey)
    return () => {
      removeEventListener('pointerdown', outside)
      removeEventListener('focusin', outside)
      removeEventListener('keydown', onKey)
    }
  }, [open])
  return (
    <div class={`menu ${more}`} ref={frame}>
      <button
        type="button"
        class="button ghost icon-only"
        aria-label={label}
        aria-expanded={open}
        onClick={() => setOpen(!open)}
      >
        {button}
      </button>
      {open && <div class="menu-panel">{children(() => setOpen(false))}</div>}
    </div>
  )
}
