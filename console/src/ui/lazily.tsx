import type { ComponentType } from 'preact'
import { useEffect, useState } from 'preact/hooks'
import { Loading } from './basics'

/** A component that is loaded when it is first shown. What it shows meanwhile is `waiting`. */
export function lazily<P extends object>(
  load: () => Promise<{ default: ComponentType<P> }>,
  waiting: ComponentType<P> = () => <Loading />,
) {
  let loaded: ComponentType<P> | undefined
  return function Lazy(props: P) {
    const [Shown, setShown] = useState<ComponentType<P> | undefined>(() => loaded)
    const [failed, setFailed] = useState(false)
    useEffect(() => {
      let current = true
      // Another place may have loaded it since this one was first rendered.
      if (loaded) setShown(() => loaded)
      else
        load().then(
          (module) => {
            loaded = module.default
            if (current) setShown(() => module.default)
          },
          () => current && setFailed(true),
        )
      return () => {
        current = false
      }
    }, [])
    if (failed) return <Failed />
    const Waiting = waiting
    return Shown ? <Shown {...props} /> : <Waiting {...props} />
  }
}

/** After an update of the server the files of the old page are gone. */
function Failed() {
  return (
    <div class="state" role="alert">
      <h2>This part could not be loaded</h2>
      <p>The connection was lost, or the console was updated meanwhile.</p>
      <button type="button" class="button plain" onClick={() => location.reload()}>
        Reload the page
      </button>
    </div>
  )
}
