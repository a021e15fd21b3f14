import { useEffect, useRef } from 'preact/hooks'
import { type Channel, listen } from '../auth/sockets'
import type { FlatFrame } from '../client'

/** Calls `reload` when the channel opens, and `pauseMs` after the last of the flat events that concern a screen. */
export function useReloads(
  channel: Channel,
  concerns: (frame: FlatFrame) => boolean,
  reload: () => void,
  pauseMs = 0,
): void {
  const latest = useRef({ concerns, reload })
  latest.current = { concerns, reload }
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined
    const run = () => latest.current.reload()
    const end = listen(
      channel,
      (frame) => {
        if (!latest.current.concerns(frame)) return
        clearTimeout(timer)
        timer = setTimeout(run, pauseMs)
      },
      run,
    )
    return () => {
      clearTimeout(timer)
      end()
    }
  }, [channel, pauseMs])
}
