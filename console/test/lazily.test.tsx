import { render } from 'preact'
import { act } from 'preact/test-utils'
import { expect, test } from 'vitest'
import { lazily } from '../src/ui/lazily'

const Shown = () => <b>shown</b>
const Waiting = () => <i>waiting</i>

function place(): HTMLElement {
  return document.body.appendChild(document.createElement('div'))
}

test('a part that was rendered while another one loads it is shown too', async () => {
  let arrive = (_: { default: typeof Shown }) => {}
  const Lazy = lazily(() => new Promise<{ default: typeof Shown }>((resolve) => (arrive = resolve)), Waiting)
  const [first, second] = [place(), place()]
  act(() => render(<Lazy />, first))
  await act(async () => {
    render(<Lazy />, second) // its effects run after the module has arrived
    arrive({ default: Shown })
    await Promise.resolve()
    await Promise.resolve()
  })
  expect([first.innerHTML, second.innerHTML]).toEqual(['<b>shown</b>', '<b>shown</b>'])
})

test('a part that cannot be loaded says so', async () => {
  const Lazy = lazily<object>(() => Promise.reject(new Error('gone')), Waiting)
  const one = place()
  await act(async () => render(<Lazy />, one))
  await act(() => new Promise((resolve) => setTimeout(resolve, 0)))
  expect(one.textContent).toContain('This part could not be loaded')
})
