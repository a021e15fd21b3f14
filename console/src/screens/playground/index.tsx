import { Link } from 'wouter-preact'
import { api, ask } from '../../api'
import type { ScreenProps } from '../../app/routes'
import { Heading, Loaded, useResource } from '../../ui'

export default function Playground(_: ScreenProps) {
  const agents = useResource((signal) => ask(api.GET('/api/agents', { signal })), [])
  return (
    <>
      <Heading title="Playground" />
      <Loaded of={agents}>
        {({ items }) => (
          <ul>
            {items.map((agent) => (
              <li key={agent.agent_type}>
                <Link href={`/playground/${agent.agent_type}`}>{agent.title}</Link>
              </li>
            ))}
          </ul>
        )}
      </Loaded>
    </>
  )
}
