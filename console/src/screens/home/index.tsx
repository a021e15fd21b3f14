import { Link } from 'wouter-preact'
import { api, ask } from '../../api'
import { Card, Heading, Loaded, useResource } from '../../ui'

export default function Home() {
  const agents = useResource((signal) => ask(api.GET('/api/agents', { signal })), [])
  return (
    <>
      <Heading title="Home" />
      <Card title="Try an agent">
        <Loaded of={agents}>
          {({ items }) => (
            <ul>
              {items.map((agent) => (
                <li key={agent.agent_type}>
                  <Link href={`/playground/${agent.agent_type}`}>{agent.title}</Link>: {agent.description}
                </li>
              ))}
            </ul>
          )}
        </Loaded>
      </Card>
    </>
  )
}
