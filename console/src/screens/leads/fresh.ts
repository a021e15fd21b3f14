import { useEffect, useState } from 'preact/hooks'
import { listen } from '../../auth/sockets'

/** Milliseconds in which several events cause one reload. */
const DEBOUNCE_MS = 800

interface Options {
  /** Of flat events of the analytics channel: those after which the list is read again. */
  events: readonly string[]
  /** Those of them that mean a new row. */
  added: string
  /** Rows shown, and how many the first page has at most. */
  shown: number
  page: number
  reload: () => void
}

/**
 * Reloads a list after events, and when the channel opens. Where further pages are shown, `count` new rows wait for `show`
 * instead, or with `missed` an unknown number.
 */
export function useFresh({ events, added, shown, page, reload }: Options) {
  const [count, setCount] = useState(0)
  const [missed, setMissed] = useState(false)
  const further = shown > page
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined
    const unsubscribe = listen(
      'analytics',
      ({ type }) => {
        if (!events.includes(type)) return
        if (further) {
          if (type === added) setCount((before) => before + 1)
          return
        }
        clearTimeout(timer)
        timer = setTimeout(reload, DEBOUNCE_MS)
      },
      () => (further ? setMissed(true) : reload()),
    )
    return () => {
      clearTimeout(timer)
      unsubscribe()
    }
  }, [further])
  const show = () => {
    setCount(0)
    setMissed(false)
    reload()
  }
  return { count, missed, show }
}
