import { Link } from 'wouter-preact'
import { api, ask, type ConversationItem } from '../../api'
import { Age, Badge, Heading, PagedTable, usePages } from '../../ui'

export default function Conversations() {
  const pages = usePages<ConversationItem>(
    (cursor, signal) => ask(api.GET('/api/conversations', { params: { query: { cursor } }, signal })),
    [],
  )
  return (
    <>
      <Heading title="Conversations" />
      <PagedTable
        label="Conversations"
        pages={pages}
        empty="No conversations yet"
        rowKey={(one) => one.conversation_id}
        href={(one) => `/conversations/${one.conversation_id}`}
        columns={[
          {
            name: 'Title',
            kind: 'wide',
            cell: (one) => <Link href={`/conversations/${one.conversation_id}`}>{one.title ?? 'Without a title'}</Link>,
          },
          { name: 'Status', cell: (one) => <Badge status={one.status} /> },
          { name: 'Last message', cell: (one) => <Age time={one.last_message_at} /> },
        ]}
      />
    </>
  )
}
