// What a front end does with supabase-js, against the addresses of the environment. Prints what came of it as JSON.
import { createClient } from '@supabase/supabase-js'

const { SUPABASE_URL, SUPABASE_ANON_KEY, API_URL } = process.env
const connect = () => createClient(SUPABASE_URL, SUPABASE_ANON_KEY, { auth: { autoRefreshToken: false } })
const supabase = connect()
const email = `${crypto.randomUUID()}@example.com`
const password = 'correct horse battery'
const found = {}

const must = ({ data, error }) => {
  if (error) throw error
  return data
}
const code = ({ error }) => error?.code ?? null

// Accounts and sessions.
const signedUp = must(await supabase.auth.signUp({ email, password, options: { data: { name: 'Ada' } } }))
const id = signedUp.user.id
found.signedUp = { session: signedUp.session !== null, name: signedUp.user.user_metadata.name }
found.takenAddress = code(await connect().auth.signUp({ email, password }))
const weak = await connect().auth.signUp({ email: `x${email}`, password: 'short' })
found.weakPassword = { code: weak.error.code, name: weak.error.name, reasons: weak.error.reasons }
found.wrongPassword = code(await connect().auth.signInWithPassword({ email, password: 'wrong password' }))
const signedIn = must(await supabase.auth.signInWithPassword({ email, password }))
found.sameUser = signedIn.user.id === id
const refreshed = must(await supabase.auth.refreshSession())
found.rotated = refreshed.session.refresh_token !== signedIn.session.refresh_token
found.claims = must(await supabase.auth.getClaims()).claims.sub === id
must(await supabase.auth.updateUser({ data: { team: 'blue' } }))
found.metadata = must(await supabase.auth.getUser()).user.user_metadata.team
const anonymous = must(await connect().auth.signInAnonymously())
found.anonymous = anonymous.user.is_anonymous

// Rows under row level security.
const lead = must(await supabase.from('leads').insert({ name: 'Grace' }).select().single())
found.owner = lead.user_id === id
found.updated = must(
  await supabase.from('leads').update({ company: 'Navy' }).eq('id', lead.id).select('company').single(),
).company
const listed = await supabase.from('leads').select('id,name', { count: 'exact' }).order('created_at')
found.listed = { names: must(listed).map((row) => row.name), count: listed.count }
found.anothersRow = code(await supabase.from('leads').insert({ name: 'Eve', user_id: crypto.randomUUID() }))
found.score = code(await supabase.from('leads').update({ score: 100 }).eq('id', lead.id))
found.unsigned = code(await connect().from('leads').select())
found.rpc = must(await supabase.rpc('is_admin'))
must(await supabase.from('leads').delete().eq('id', lead.id))

// The API and a socket, with the same access token.
const token = must(await supabase.auth.getSession()).session.access_token
const invoked = await fetch(`${API_URL}/api/agents/invoke`, {
  method: 'POST',
  headers: { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json' },
  body: JSON.stringify({ agent_type: 'chat_agent', input: { message: 'How long does a landing page take?' } }),
})
found.invoked = invoked.status
const run = (await invoked.json()).request_id
found.streamed = await new Promise((resolve, reject) => {
  const socket = new WebSocket(`${API_URL.replace('http', 'ws')}/api/ws/workflows?token=${token}`)
  const deadline = setTimeout(() => reject(new Error('no end of the run on the socket within 60 s')), 60_000)
  socket.onopen = () => socket.send(JSON.stringify({ type: 'subscribe', topic: `workflow_run:${run}` }))
  socket.onclose = (event) => reject(new Error(`closed: ${event.code} ${event.reason}`))
  socket.onmessage = ({ data }) => {
    const frame = JSON.parse(data)
    if (frame.type === 'error') reject(new Error(data))
    if (frame.type === 'event' && frame.data?.status === 'completed') {
      clearTimeout(deadline)
      socket.onclose = null
      socket.close()
      resolve('completed')
    }
  }
})

// The end of the session.
const last = must(await supabase.auth.getSession()).session.refresh_token
must({ data: true, ...(await supabase.auth.signOut()) })
found.signedOut = must(await supabase.auth.getSession()).session === null
found.afterwards = code(await connect().auth.refreshSession({ refresh_token: last }))
console.log(JSON.stringify(found))
process.exit(0)
