import { useEffect, useRef } from 'preact/hooks'
import { Spinner } from '../../ui'

interface Props {
  text: string
  label: string
  truncated?: boolean
  retryingWith?: string | null
}

/** How far from its end a reader may be for the text to scroll along. */
const NEAR = 40

/** The text of a running step as it comes. It scrolls along until the reader scrolls back. */
export function LiveText({ text, label, truncated = false, retryingWith = null }: Props) {
  const box = useRef<HTMLDivElement>(null)
  const follows = useRef(true)
  useEffect(() => {
    if (box.current && follows.current) box.current.scrollTop = box.current.scrollHeight
  }, [text])
  return (
    <div>
      {truncated && <p class="quiet">The text is long; its beginning comes with the result.</p>}
      {retryingWith && (
        <p class="quiet">
          Retrying with {retryingWith === 'fallback' ? "the agent's own rules" : retryingWith}; the text so far was
          discarded.
        </p>
      )}
      <div
        ref={box}
        class="live-text plain-text"
        role="log"
        aria-label={label}
        aria-live="polite"
        aria-busy="true"
        // biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls, and must do so by keyboard
        tabIndex={0}
        onScroll={(event) => {
          const { scrollHeight, scrollTop, clientHeight } = event.currentTarget
          follows.current = scrollHeight - scrollTop - clientHeight < NEAR
        }}
      >
        {text}
      </div>
      {!text && (
        <p class="waiting-line quiet">
          <Spinner /> Waiting for the first words…
        </p>
      )}
    </div>
  )
}
