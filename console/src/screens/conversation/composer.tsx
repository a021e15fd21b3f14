import { useRef, useState } from 'preact/hooks'
import { asApiError } from '../../api'
import { Button } from '../../ui'

const LONGEST = 8_000

/** The input of a message: Enter sends, Shift and Enter begin a line. A message that could not be sent stays. */
export function Composer({
  busy,
  suggestions,
  onSend,
}: {
  busy: boolean
  suggestions: string[]
  onSend: (content: string, key: string) => Promise<void>
}) {
  const [text, setText] = useState('')
  const [sending, setSending] = useState(false)
  const [failure, setFailure] = useState('')
  // The same until it is sent: a repeat after a lost connection is the same message.
  const key = useRef<string | undefined>(undefined)
  const send = async (said = text) => {
    const content = said.trim()
    if (!content || busy || sending) return
    key.current ??= newKey()
    setSending(true)
    setFailure('')
    try {
      await onSend(content, key.current)
      key.current = undefined
      setText('')
    } catch (reason) {
      setFailure(asApiError(reason).message)
    }
    setSending(false)
  }
  return (
    <form
      class="talk-composer"
      onSubmit={(event) => {
        event.preventDefault()
        void send()
      }}
    >
      {suggestions.length > 0 && !text && !busy && (
        <div class="talk-suggestions">
          {suggestions.map((one) => (
            <Button key={one} small onClick={() => void send(one)}>
              {one}
            </Button>
          ))}
        </div>
      )}
      <label class="hidden-visually" for="chat-message">
        Message
      </label>
      <textarea
        id="chat-message"
        rows={2}
        maxLength={LONGEST}
        placeholder="Write a message; Enter sends it"
        value={text}
        onInput={(event) => {
          setText(event.currentTarget.value)
          key.current = undefined
        }}
        onKeyDown={(event) => {
          if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return
          event.preventDefault()
          void send()
        }}
      />
      <Button kind="primary" icon="send" type="submit" busy={sending} disabled={busy || !text.trim()}>
        Send
      </Button>
      {failure && (
        <p class="error-text" role="alert">
          {failure}
        </p>
      )}
    </form>
  )
}

/** crypto.randomUUID exists on https and localhost alone. */
function newKey(): string {
  return Array.from(crypto.getRandomValues(new Uint32Array(4)), (part) => part.toString(16)).join('-')
}
