import { apiUrl, config } from '../../api'
import { session } from '../../auth/session'
import { Card, CopyButton, Tabs } from '../../ui'

const INPUT = { query: 'Find top prospects in SaaS' }
const MASK = '…your token…'

/** Lines that work when pasted. The token is in what is copied, not on the screen. */
export function Lines() {
  return (
    <Card title="Call it from your code">
      <Tabs
        label="Languages"
        tabs={[
          { name: 'curl', label: 'curl', content: () => <Line make={curl} /> },
          { name: 'javascript', label: 'JavaScript', content: () => <Line make={javascript} /> },
          { name: 'python', label: 'Python', content: () => <Line make={python} /> },
          { name: 'vite', label: 'Vite', content: () => <Line make={vite} /> },
        ]}
      />
    </Card>
  )
}

function Line({ make }: { make: (token: string) => string }) {
  return (
    <div class="code">
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls, and must do so by keyboard */}
      <pre tabIndex={0} role="group" aria-label="Code">
        <code>{make(MASK)}</code>
      </pre>
      <CopyButton text={() => make(session.value?.access_token ?? '')} />
    </div>
  )
}

function curl(token: string): string {
  return `curl -s "${apiUrl()}/api/agents/invoke" \\
  -H "Authorization: Bearer ${token}" \\
  -H "Content-Type: application/json" \\
  -H "Prefer: wait=30" \\
  -d '${JSON.stringify({ agent_type: 'lead_agent', input: INPUT })}'
`
}

function javascript(token: string): string {
  return `const response = await fetch('${apiUrl()}/api/agents/invoke', {
  method: 'POST',
  headers: {
    Authorization: 'Bearer ${token}',
    'Content-Type': 'application/json',
    Prefer: 'wait=30',
  },
  body: JSON.stringify({ agent_type: 'lead_agent', input: { query: '${INPUT.query}' } }),
})
console.log(await response.json())
`
}

function python(token: string): string {
  return `from pixelbloom.client import ApiClient

with ApiClient("${apiUrl()}", "${token}") as api:
    accepted = api.invoke("lead_agent", {"query": "${INPUT.query}"})
    print(accepted["request_id"])
`
}

function vite(): string {
  const { supabase_url, publishable_key } = config()
  return `VITE_API_URL=${apiUrl()}
VITE_SUPABASE_URL=${supabase_url ?? ''}
VITE_SUPABASE_PUBLISHABLE_KEY=${publishable_key ?? ''}
`
}
