import { useEffect, useRef } from 'preact/hooks'

/** Calls `work` every `ms` while the page is looked at, and when it is looked at again. */
export function useEvery(ms: number, work: () => void): void {
  const latest = useRef(work)
  latest.current = work
  useEffect(() => {
    const run = () => {
      if (!document.hidden) latest.current()
    }
    const timer = setInterval(run, ms)
    document.addEventListener('visibilitychange', run)
    return () => {
      clearInterval(timer)
      document.removeEventListener('visibilitychange', run)
    }
  }, [ms])
}
