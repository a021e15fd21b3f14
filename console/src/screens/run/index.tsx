import { api, ask } from '../../api'
import type { ScreenProps } from '../../app/routes'
import { Badge, Card, Heading, humanize, Id, JsonView, Loaded, useResource } from '../../ui'

export default function Run({ params }: ScreenProps) {
  const id = params.id ?? ''
  const run = useResource(
    (signal) => ask(api.GET('/api/agents/runs/{request_id}', { params: { path: { request_id: id } }, signal })),
    [id],
  )
  return (
    <Loaded of={run}>
      {(found) => (
        <>
          <Heading title={humanize(found.agent_type)} lead={<Id value={found.request_id} />}>
            <Badge status={found.status} />
          </Heading>
          <Card title="Result">
            <JsonView value={found.result} />
          </Card>
        </>
      )}
    </Loaded>
  )
}
