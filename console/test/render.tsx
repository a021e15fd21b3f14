import { type ComponentChild, render as into } from 'preact'
import { act } from 'preact/test-utils'
import { afterEach } from 'vitest'

const roots: HTMLElement[] = []
afterEach(() => {
  for (const root of roots.splice(0)) {
    into(null, root)
    root.remove()
  }
})

export function fireEvent(element: Element, name: string): void {
  element.dispatchEvent(new Event(name, { bubbles: true, cancelable: true }))
}

/** A component in a document, used as a person would: by labels and the texts of buttons. */
export function render(child: ComponentChild) {
  const root = document.createElement('div')
  document.body.append(root)
  roots.push(root)
  void act(() => into(child, root))
  const text = () => (root.textContent ?? '').replace(/\s+/g, ' ')
  const field = (label: string): HTMLElement => {
    const found = [...root.querySelectorAll('label')].find(
      (one) => one.textContent?.replace('(optional)', '').trim() === label,
    )
    const input = found && root.querySelector<HTMLElement>(`[id="${found.htmlFor}"]`)
    if (!input) throw new Error(`no field ${label} in: ${text()}`)
    return input
  }
  const set = (label: string, value: string, event: string) =>
    act(async () => {
      const input = field(label) as HTMLInputElement
      input.value = value
      fireEvent(input, event)
    })
  return {
    root,
    text,
    field,
    type: (label: string, value: string) => set(label, value, 'input'),
    choose: (label: string, value: string) => set(label, value, 'change'),
    click: (name: string) =>
      act(async () => {
        const button = [...root.querySelectorAll<HTMLElement>('button, a')].find(
          (one) => (one.getAttribute('aria-label') ?? one.textContent)?.trim() === name,
        )
        if (!button) throw new Error(`no button ${name} in: ${text()}`)
        if (button.getAttribute('type') === 'submit') fireEvent(button.closest('form') as Element, 'submit')
        else button.click()
        await new Promise((resolve) => setTimeout(resolve, 0))
      }),
  }
}
