import type { ComponentChildren } from 'preact'
import { useId, useRef, useState } from 'preact/hooks'

export interface Tab {
  name: string
  label: string
  content: () => ComponentChildren
}

/** Tabs with the arrow keys. Only the chosen one's content exists. */
export function Tabs({
  tabs,
  label,
  chosen,
  onChoose,
}: {
  tabs: Tab[]
  label: string
  chosen?: string
  onChoose?: (name: string) => void
}) {
  const [own, setOwn] = useState(tabs[0]?.name ?? '')
  const current = chosen ?? own
  const index = Math.max(
    0,
    tabs.findIndex((tab) => tab.name === current),
  )
  const id = useId()
  const list = useRef<HTMLDivElement>(null)
  const choose = (to: number) => {
    const tab = tabs[(to + tabs.length) % tabs.length]
    if (!tab) return
    setOwn(tab.name)
    onChoose?.(tab.name)
    ;(list.current?.children[(to + tabs.length) % tabs.length] as HTMLElement | undefined)?.focus()
  }
  return (
    <div class="tabs">
      <div class="tab-list" role="tablist" aria-label={label} ref={list}>
        {tabs.map((tab, position) => (
          <button
            key={tab.name}
            type="button"
            role="tab"
            id={`${id}-${tab.name}`}
            aria-selected={position === index}
            aria-controls={`${id}-panel`}
            tabIndex={position === index ? 0 : -1}
            onClick={() => choose(position)}
            onKeyDown={(event) => {
              if (event.key === 'ArrowRight') choose(index + 1)
              else if (event.key === 'ArrowLeft') choose(index - 1)
              else return
              event.preventDefault()
            }}
          >
            {tab.label}
          </button>
        ))}
      </div>
      <div role="tabpanel" id={`${id}-panel`} aria-labelledby={`${id}-${tabs[index]?.name}`}>
        {tabs[index]?.content()}
      </div>
    </div>
  )
}
