import type { ComponentChildren } from 'preact'
import { Link } from 'wouter-preact'
import { api, ask, type Lead } from '../../api'
import { Age, Card, Loaded, useResource } from '../../ui'

interface Entry {
  at: string
  what: ComponentChildren
}

/** What has happened to a lead, newest first: when it came, its conversations, its analysis, its last change. */
export function History({ lead }: { lead: Lead }) {
  const conversations = useResource(
    async (signal) => {
      const query = { lead_id: lead.lead_id, limit: 50 }
      const page = await ask(api.GET('/api/conversations', { params: { query }, signal }))
      return page.items
    },
    [lead.lead_id],
  )
  return (
    <Card title="History">
      <Loaded of={conversations}>
        {(found) => {
          const entries: Entry[] = [
            { at: lead.created_at, what: `Came from ${lead.source}` },
            ...found.map(({ conversation_id, title, created_at }) => ({
              at: created_at,
              what: (
                <>
                  Conversation <Link href={`/conversations/${conversation_id}`}>{title ?? 'without a title'}</Link>
                </>
              ),
            })),
          ]
          if (lead.analyzed_at) {
            entries.push({
              at: lead.analyzed_at,
              what: (
                <>
                  Analyzed: {lead.score} of 100{' '}
                  {lead.analysis_id && <Link href={`/runs/${lead.analysis_id}`}>See the run</Link>}
                </>
              ),
            })
          }
          if (lead.version > 1 && lead.updated_at !== lead.analyzed_at) {
            entries.push({ at: lead.updated_at, what: 'Last change' })
          }
          entries.sort((one, other) => other.at.localeCompare(one.at))
          return (
            <ol class="history">
              {entries.map(({ at, what }) => (
                <li key={`${at} ${typeof what === 'string' ? what : ''}`}>
                  <span>{what}</span>
                  <span class="quiet">
                    <Age time={at} />
                  </span>
                </li>
              ))}
            </ol>
          )
        }}
      </Loaded>
    </Card>
  )
}
