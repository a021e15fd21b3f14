import { connections, online } from '../auth/sockets'

/** Shows when live updates are interrupted, and nothing otherwise. */
export function Connection() {
  const states = Object.values(connections.value)
  const lost = !online.value || states.includes('waiting')
  return (
    <span class={lost ? 'connection lost' : 'connection'} role="status">
      <span class="dot" aria-hidden="true" />
      <span class={lost ? '' : 'hidden-visually'}>
        {!online.value ? 'Offline' : lost ? 'Reconnecting…' : states.includes('open') ? 'Live' : ''}
      </span>
    </span>
  )
}
