import { api, ask } from '../../api'
import { Card, Heading, JsonView, Loaded, useResource } from '../../ui'

export default function Dashboard() {
  const overview = useResource((signal) => ask(api.GET('/api/analytics/overview', { signal })), [])
  return (
    <>
      <Heading title="Dashboard" />
      <Loaded of={overview}>
        {(found) => (
          <Card title="Overview">
            <JsonView value={found} />
          </Card>
        )}
      </Loaded>
    </>
  )
}
