import { api, ask } from '../../api'
import type { ScreenProps } from '../../app/routes'
import { Card, Heading, Loaded, useResource } from '../../ui'

export default function ConversationScreen({ params }: ScreenProps) {
  const id = params.id ?? ''
  const messages = useResource(
    (signal) =>
      ask(
        api.GET('/api/conversations/{conversation_id}/messages', { params: { path: { conversation_id: id } }, signal }),
      ),
    [id],
  )
  return (
    <>
      <Heading title="Conversation" />
      <Loaded of={messages}>
        {(page) => (
          <Card title="Transcript">
            <ol>
              {page.items.map((message) => (
                <li key={message.message_id}>
                  <strong>{message.role}</strong>: {message.content}
                </li>
              ))}
            </ol>
          </Card>
        )}
      </Loaded>
    </>
  )
}
