import { api, ask } from '../../api'
import type { ScreenProps } from '../../app/routes'
import { Card, Heading, JsonView, Loaded, useResource } from '../../ui'

export default function WorkflowEditor({ params }: ScreenProps) {
  const id = params.id ?? ''
  const workflow = useResource(
    (signal) => ask(api.GET('/api/agents/workflows/{workflow_id}', { params: { path: { workflow_id: id } }, signal })),
    [id],
  )
  return (
    <>
      <Heading title={`Edit ${id}`} />
      <Loaded of={workflow}>
        {(found) => (
          <Card title="Definition">
            <JsonView value={found} />
          </Card>
        )}
      </Loaded>
    </>
  )
}
