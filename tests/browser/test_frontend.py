"""A page of another origin uses supabase-js, the API and a socket, with nothing but the printed addresses."""

from collections.abc import Iterator
from uuid import uuid4

import pytest
from playwright.sync_api import Page

from pixelbloom.auth.mint import mint_user
from pixelbloom.local import secrets
from tests import frontend
from tests.stack import Stack, StartedProcess, stop_all

SCRIPT = """async ({ url, key, api, email }) => {
  const client = supabase.createClient(url, key)
  const password = 'correct horse battery'
  const refused = await client.auth.signInWithPassword({ email, password })
  await client.auth.signUp({ email, password })
  const { data } = await client.auth.signInWithPassword({ email, password })
  const lead = await client.from('leads').insert({ name: 'Grace' }).select().single()
  const counted = await client.from('leads').select('*', { count: 'exact', head: true })
  await client.from('leads').delete().eq('id', lead.data.id)
  const token = data.session.access_token
  const response = await fetch(`${api}/api/agents/invoke`, {
    method: 'POST',
    headers: { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json' },
    body: JSON.stringify({ agent_type: 'chat_agent', input: { message: 'Hello' } }),
  })
  const run = (await response.json()).request_id
  const subscribed = await new Promise((resolve, reject) => {
    const socket = new WebSocket(`${api.replace('http', 'ws')}/api/ws/workflows?token=${token}`)
    setTimeout(() => reject(new Error('no response on the socket within 30 s')), 30000)
    socket.onopen = () => socket.send(JSON.stringify({ type: 'subscribe', topic: `workflow_run:${run}` }))
    socket.onclose = (event) => reject(new Error(`closed: ${event.code}`))
    socket.onmessage = ({ data }) => JSON.parse(data).type === 'subscribed' && resolve(true)
  })
  await client.auth.signOut()
  return {
    refused: refused.error.code, owner: lead.data.user_id === data.user.id, count: counted.count,
    status: response.status, subscribed, left: (await client.auth.getSession()).data.session,
  }
}"""


#: Changes a lead on the version that was seen, then on an old one, as code with tracing and supabase-js does.
CHANGE = """async ({ api, token }) => {
  const headers = {
    Authorization: `Bearer ${token}`, 'Content-Type': 'application/json', apikey: 'sb_publishable_x',
    'x-client-info': 'supabase-js-web/2', 'sentry-trace': '0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-1',
    traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01', tracestate: 'a=b', baggage: 'c=d',
    'Idempotency-Key': crypto.randomUUID?.() ?? 'key-1', Prefer: 'wait=1',
  }
  const send = (method, path, body, more) =>
    fetch(`${api}${path}`, { method, headers: { ...headers, ...more }, body: body && JSON.stringify(body) })
  const created = await (await send('POST', '/api/leads', { name: 'Grace', email: 'grace@example.com' })).json()
  const path = `/api/leads/${created.id ?? created.lead_id}`
  const seen = (await send('GET', path)).headers.get('ETag')
  const first = await send('PATCH', path, { status: 'contacted' }, { 'If-Match': seen })
  const second = await send('PATCH', path, { status: 'qualified' }, { 'If-Match': seen })
  return { seen, first: first.status, second: second.status, id: Boolean(second.headers.get('X-Request-ID')) }
}"""


@pytest.fixture(scope="module")
def web(stack: Stack) -> Iterator[StartedProcess]:
    started = [stack.start("web")]
    yield started[-1]
    stop_all(started)


def test_a_page_signs_in_writes_a_row_invokes_and_subscribes(stack: Stack, web: StartedProcess, page: Page) -> None:
    page.add_script_tag(
        path=frontend.installed() / "node_modules" / "@supabase" / "supabase-js" / "dist" / "umd" / "supabase.js"
    )
    given = {
        "url": stack.settings.require("supabase_url"),
        "key": secrets.api_keys(stack.settings.require("supabase_jwt_secret"))["SUPABASE_PUBLISHABLE_KEY"],
        "api": web.url,
        "email": "page@example.com",
    }
    assert page.evaluate(SCRIPT, given) == {
        "refused": "invalid_credentials",
        "owner": True,
        "count": 1,
        "status": 200,
        "subscribed": True,
        "left": None,
    }


def test_a_page_of_another_origin_changes_a_row_by_its_version(stack: Stack, web: StartedProcess, page: Page) -> None:
    found = page.evaluate(CHANGE, {"api": web.url, "token": mint_user(stack.settings, uuid4())})

    assert found == {"seen": '"1"', "first": 200, "second": 409, "id": True}
