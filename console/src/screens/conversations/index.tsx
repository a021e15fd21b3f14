import { Link, useLocation } from 'wouter-preact'
import { api, ask, type ConversationItem } from '../../api'
import { seesAll } from '../../auth/session'
import {
  ActionButton,
  Age,
  Badge,
  Button,
  Empty,
  Filters,
  Heading,
  PagedTable,
  SelectFilter,
  TextFilter,
  useFilters,
  usePages,
} from '../../ui'
import { DaysFilter, daysAgo } from '../leads/days'
import { useFresh } from '../leads/fresh'

const NAMES = ['q', 'status', 'days'] as const
const STATUSES = ['active', 'closed'] as const
const PAGE = 50
const EVENTS = ['message_created', 'conversation_deleted']

export default function Conversations() {
  const [, navigate] = useLocation()
  const [filters, set] = useFilters(NAMES)
  const pages = usePages<ConversationItem>(
    (cursor, signal) =>
      ask(
        api.GET('/api/conversations', {
          params: {
            query: {
              cursor,
              limit: PAGE,
              q: filters.q || undefined,
              status: STATUSES.find((one) => one === filters.status),
              created_after: daysAgo(filters.days),
            },
          },
          signal,
        }),
      ),
    NAMES.map((name) => filters[name]),
  )
  const fresh = useFresh({
    events: EVENTS,
    added: 'message_created',
    shown: pages.items?.length ?? 0,
    page: PAGE,
    reload: pages.reload,
  })
  const begin = async () => {
    const made = await ask(api.POST('/api/conversations', { body: {} }))
    navigate(`/conversations/${made.conversation_id}`)
  }
  const filtered = NAMES.some((name) => filters[name])
  const clear = () => set({ q: '', status: '', days: '' })
  return (
    <>
      <Heading title="Conversations" lead="Chats of users and visitors with chat_agent.">
        {(fresh.missed || fresh.count > 0) && (
          <Button icon="refresh" onClick={fresh.show}>
            Show what is new
          </Button>
        )}
        <ActionButton kind="primary" icon="plus" action={begin}>
          New conversation
        </ActionButton>
      </Heading>
      <Filters {...(filtered ? { onClear: clear } : {})}>
        <TextFilter label="Search" placeholder="Words of the title" value={filters.q} onChange={(q) => set({ q })} />
        <SelectFilter
          label="Status"
          any="Any"
          value={filters.status}
          options={[
            ['active', 'Active'],
            ['closed', 'Closed'],
          ]}
          onChange={(status) => set({ status })}
        />
        <DaysFilter label="Began" value={filters.days} onChange={(days) => set({ days })} />
      </Filters>
      <PagedTable
        label="Conversations"
        pages={pages}
        empty={
          filtered ? (
            <Empty title="No conversation matches" icon="search">
              <Button onClick={clear}>Clear the filters</Button>
            </Empty>
          ) : (
            <Empty title="No conversations yet" icon="chat">
              <p>Visitors begin them on your website; here you can begin one yourself.</p>
            </Empty>
          )
        }
        rowKey={(one) => one.conversation_id}
        href={(one) => `/conversations/${one.conversation_id}`}
        columns={[
          {
            name: 'Title',
            kind: 'wide',
            cell: (one) => <Link href={`/conversations/${one.conversation_id}`}>{one.title ?? 'Without a title'}</Link>,
          },
          { name: 'Status', cell: (one) => <Badge status={one.status} /> },
          {
            name: 'Lead',
            cell: (one) => (one.lead_id ? <Link href={`/leads/${one.lead_id}`}>Lead</Link> : ''),
          },
          ...(seesAll.value
            ? [
                {
                  name: 'With',
                  cell: (one: ConversationItem) =>
                    one.user_id ? <code title={one.user_id}>{one.user_id.slice(0, 8)}</code> : 'A visitor',
                },
              ]
            : []),
          { name: 'Last message', cell: (one) => <Age time={one.last_message_at ?? one.created_at} /> },
        ]}
      />
    </>
  )
}
