import { useEffect, useState } from 'preact/hooks'
import { act } from 'preact/test-utils'
import { expect, test } from 'vitest'
import { useResource } from '../src/ui/resource'
import { render } from './render'

/** Shows what was read for an id, and adds `reply` to it when that arrives. Buttons choose the id. */
function Screen({ reply }: { reply: Promise<string> }) {
  const [id, setId] = useState('first')
  const { data, update } = useResource(async () => `messages of ${id}`, [id])
  useEffect(() => void reply.then((text) => update((before) => `${before}, ${text} to ${id}`)), [id])
  return (
    <>
      <p>{data}</p>
      <button type="button" onClick={() => setId('second')}>
        Second
      </button>
      <button type="button" onClick={() => setId('first')}>
        First
      </button>
    </>
  )
}

test('a late update of what was shown before does not change what is shown now', async () => {
  let arrive: (text: string) => void = () => undefined
  const page = render(<Screen reply={new Promise((resolve) => (arrive = resolve))} />)
  const shown = () => page.root.querySelector('p')?.textContent
  await page.click('Second')
  await act(async () => undefined)
  expect(shown()).toBe('messages of second')
  await act(async () => arrive('a reply'))
  expect(shown()).toBe('messages of second, a reply to second')
})

test('an update of what is shown again is of its earlier reading', async () => {
  let arrive: (text: string) => void = () => undefined
  const page = render(<Screen reply={new Promise((resolve) => (arrive = resolve))} />)
  await page.click('Second')
  await page.click('First')
  await act(async () => arrive('a reply'))
  expect(page.root.querySelector('p')?.textContent).toBe('messages of first, a reply to first')
})
