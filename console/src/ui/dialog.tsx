import type { ComponentChildren } from 'preact'
import { useEffect, useId, useRef } from 'preact/hooks'
import { ActionButton, Button } from './basics'

interface DialogProps {
  title: string
  onClose: () => void
  children: ComponentChildren
  /** Whether Escape and the backdrop close it. */
  dismissible?: boolean
  wide?: boolean
}

/** A modal dialog: the browser's own, which traps the focus and restores it. */
export function Dialog({ title, onClose, children, dismissible = true, wide = false }: DialogProps) {
  const ref = useRef<HTMLDialogElement>(null)
  const id = useId()
  useEffect(() => {
    const dialog = ref.current
    dialog?.showModal()
    return () => dialog?.close()
  }, [])
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: Escape is the keyboard's way, and the browser's
    <dialog
      ref={ref}
      class={wide ? 'dialog wide' : 'dialog'}
      aria-labelledby={id}
      onCancel={(event) => {
        event.preventDefault()
        if (dismissible) onClose()
      }}
      onClick={(event) => {
        if (dismissible && event.target === ref.current) onClose()
      }}
    >
      <div class="dialog-body">
        <div class="card-head">
          <h2 id={id}>{title}</h2>
          {dismissible && <Button kind="ghost" small icon="close" aria-label="Close" onClick={onClose} />}
        </div>
        {children}
      </div>
    </dialog>
  )
}

interface ConfirmProps {
  title: string
  text: ComponentChildren
  /** What the button says, and does. */
  verb: string
  danger?: boolean
  action: () => Promise<unknown>
  onClose: () => void
}

/** Asks before something that cannot be undone. Closes when it is done; a failure is a toast, and the dialog stays. */
export function Confirm({ title, text, verb, danger = false, action, onClose }: ConfirmProps) {
  return (
    <Dialog title={title} onClose={onClose}>
      <div>{text}</div>
      <div class="dialog-actions">
        <Button onClick={onClose}>Back</Button>
        <ActionButton
          kind={danger ? 'danger' : 'primary'}
          action={async () => {
            await action()
            onClose()
          }}
        >
          {verb}
        </ActionButton>
      </div>
    </Dialog>
  )
}
