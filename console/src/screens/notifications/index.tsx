import { api, ask, type Notification } from '../../api'
import { Age, Badge, Heading, PagedTable, usePages } from '../../ui'

export default function Notifications() {
  const pages = usePages<Notification>(
    (cursor, signal) => ask(api.GET('/api/notifications', { params: { query: { cursor } }, signal })),
    [],
  )
  return (
    <>
      <Heading title="Notifications" />
      <PagedTable
        label="Notifications"
        pages={pages}
        empty="No notifications"
        rowKey={(one) => one.id}
        columns={[
          { name: 'Severity', cell: (one) => <Badge status={one.severity} /> },
          { name: 'Title', kind: 'wide', cell: (one) => one.title },
          { name: 'Time', cell: (one) => <Age time={one.created_at} /> },
        ]}
      />
    </>
  )
}
