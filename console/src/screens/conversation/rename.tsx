import { useState } from 'preact/hooks'
import { api, asApiError, ask, type ConversationItem } from '../../api'
import { Button, Dialog } from '../../ui'

export function Rename({
  of,
  onClose,
  onSaved,
}: {
  of: ConversationItem
  onClose: () => void
  onSaved: (saved: ConversationItem) => void
}) {
  const [title, setTitle] = useState(of.title ?? '')
  const [failure, setFailure] = useState('')
  const save = async () => {
    try {
      onSaved(
        await ask(
          api.PATCH('/api/conversations/{conversation_id}', {
            params: {
              path: { conversation_id: of.conversation_id },
              header: { 'If-Match': `"${of.version}"` },
            },
            body: { title: title.trim() || null },
          }),
        ),
      )
      onClose()
    } catch (reason) {
      setFailure(asApiError(reason).message)
    }
  }
  return (
    <Dialog title="Rename the conversation" onClose={onClose}>
      <form
        class="form"
        onSubmit={(event) => {
          event.preventDefault()
          void save()
        }}
      >
        <div class="field">
          <label for="conversation-title">Title</label>
          <input
            id="conversation-title"
            value={title}
            maxLength={200}
            onInput={(event) => setTitle(event.currentTarget.value)}
          />
          <span class="error-text" role="alert">
            {failure}
          </span>
        </div>
        <div class="dialog-actions">
          <Button onClick={onClose}>Back</Button>
          <Button kind="primary" type="submit">
            Save
          </Button>
        </div>
      </form>
    </Dialog>
  )
}
