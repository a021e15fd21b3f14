import { api, ask } from '../../api'
import type { ScreenProps } from '../../app/routes'
import { Badge, Card, Heading, JsonView, Loaded, useResource } from '../../ui'

export default function LeadScreen({ params }: ScreenProps) {
  const id = params.id ?? ''
  const lead = useResource(
    (signal) => ask(api.GET('/api/leads/{lead_id}', { params: { path: { lead_id: id } }, signal })),
    [id],
  )
  return (
    <Loaded of={lead}>
      {(found) => (
        <>
          <Heading title={found.name} lead={found.company}>
            <Badge status={found.status} />
          </Heading>
          <Card title="Analysis">
            <JsonView value={found.analysis} />
          </Card>
        </>
      )}
    </Loaded>
  )
}
