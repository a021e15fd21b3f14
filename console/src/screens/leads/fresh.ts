import { useEffect, useState } from 'preact/hooks'
import { listen } from '../../auth/sockets'

/** Several events of one moment are one reading. */
const SETTLE_MS = 800

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

/** Keeps a list live: it is read again after events; where further pages are shown, `count` new ones wait for `show`. */
export function useFresh({ events, added, shown, page, reload }: Options) {
  const [count, setCount] = useState(0)
  const further = shown > page
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined
    const leave = listen('analytics', ({ type }) => {
      if (!events.includes(type)) return
      if (further) {
        if (type === added) setCount((before) => before + 1)
        return
      }
      clearTimeout(timer)
      timer = setTimeout(reload, SETTLE_MS)
    })
    return () => {
      clearTimeout(timer)
      leave()
    }
  }, [further])
  const show = () => {
    setCount(0)
    reload()
  }
  return { count, show }
}
