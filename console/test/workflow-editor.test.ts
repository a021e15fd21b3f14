import { describe, expect, it } from 'vitest'
import { describeCron } from '../src/screens/schedules/cron'
import { completionAt } from '../src/screens/workflow-editor/completion'
import { BEGINNING, definitionOf, formatJson } from '../src/screens/workflow-editor/definition'

const AGENTS = [
  { name: 'lead_agent', title: 'Leads', inputs: ['message', 'company'], outputs: ['score', 'summary'] },
  { name: 'content_agent', title: 'Texts', inputs: ['topic', 'brief'], outputs: ['body'] },
]

/** What is suggested at the `|` of a text. */
function suggested(marked: string): string[] {
  const caret = marked.indexOf('|')
  const found = completionAt(marked.replace('|', ''), caret, AGENTS)
  return found?.items.map(({ label }) => label) ?? []
}

/** The text after the first suggestion is taken. */
function taken(marked: string): string {
  const caret = marked.indexOf('|')
  const text = marked.replace('|', '')
  const found = completionAt(text, caret, AGENTS)
  const item = found?.items[0]
  if (!found || !item) throw new Error('nothing is suggested')
  const before = text.slice(0, found.from) + item.insert
  const at = before.length - item.back
  return `${before.slice(0, at)}|${before.slice(at)}${text.slice(found.to)}`
}

const STEPS =
  '"steps": [{"key": "qualify", "agent": "lead_agent"}, {"key": "ask", "kind": "approval", "needs": ["qualify"]}'

describe('completion', () => {
  it('offers the fields of a definition that are not there yet', () => {
    expect(suggested('{"workflow_id": "a", "|": 1}')).toEqual(['description', 'inputs', 'steps'])
    expect(suggested('{"workflow_id": "a", |')).toEqual(['description', 'inputs', 'steps'])
    expect(taken('{"st|')).toBe('{"steps": [|]')
  })

  it('offers the fields of a step by its kind', () => {
    expect(suggested('{"steps": [{"key": "a", "|"')).toContain('agent')
    expect(suggested('{"steps": [{"kind": "approval", "|"')).toEqual(
      expect.arrayContaining(['message', 'approvers', 'timeout']),
    )
    expect(suggested('{"steps": [{"kind": "approval", "|"')).not.toContain('agent')
    expect(suggested('{"steps": [{"kind": "map", "ov|"')).toEqual(['over'])
    expect(suggested('{"steps": [{"retry": {"|"')).toEqual(['attempts', 'backoff'])
  })

  it('offers agents, and the fields of the agent that is named', () => {
    expect(suggested('{"steps": [{"agent": "|"}]}')).toEqual(['lead_agent', 'content_agent'])
    expect(taken('{"steps": [{"agent": "con|"}]}')).toBe('{"steps": [{"agent": "content_agent"|}]}')
    expect(suggested('{"steps": [{"agent": "lead_agent", "input": {"message": "x", "|"')).toEqual(['company'])
    expect(suggested('{"steps": [{"kind": "|"')).toEqual(['agent', 'map', 'approval'])
  })

  it('offers the keys of other steps as needs, each once', () => {
    expect(suggested(`{${STEPS}, {"key": "reply", "needs": ["|"]}]}`)).toEqual(['qualify', 'ask'])
    expect(suggested(`{${STEPS}, {"key": "reply", "needs": ["ask", "|"]}]}`)).toEqual(['qualify'])
  })

  it('offers in an expression what the step may read', () => {
    const reply = (text: string) =>
      `{"inputs": {"properties": {"name": {}, "message": {}}}, ${STEPS}, {"key": "reply", "needs": ["ask"], "when": "${text}"}]}`
    expect(suggested(reply('|'))).toEqual(['inputs', 'outputs', 'steps'])
    expect(suggested(reply('inputs.|'))).toEqual(['name', 'message'])
    expect(suggested(reply('outputs.|'))).toEqual(['qualify', 'ask'])
    expect(suggested(reply('outputs.qualify.|'))).toEqual(['score', 'summary'])
    expect(suggested(reply('steps.ask.st|'))).toEqual(['status'])
    expect(suggested(reply('outputs.ask.|'))).toContain('approved')
    expect(suggested(reply("'outputs.|"))).toEqual([])
    expect(taken(reply('!(outputs.qua|)'))).toContain('!(outputs.qualify|)')
    expect(suggested(`{${STEPS}, {"key": "alone", "when": "outputs.|"}]}`)).toEqual([])
    expect(suggested('{"steps": [{"kind": "map", "input": {"a": ["it|"]}}]}')).toEqual(['item'])
  })

  it('offers the types and the required fields of the inputs', () => {
    expect(suggested('{"inputs": {"type": "obj|"}}')).toEqual(['object'])
    expect(suggested('{"inputs": {"properties": {"name": {}}, "required": ["|"]}}')).toEqual(['name'])
  })

  it('offers nothing where anything may stand, and nothing after the end', () => {
    expect(suggested('{"workflow_id": "|"}')).toEqual([])
    expect(suggested('{"steps": [{"key": "a|"}]}')).toEqual([])
    expect(suggested('{"steps": []}|')).toEqual([])
    expect(suggested('|')).toEqual([])
  })

  it('takes any text at any place without an error', () => {
    const text = formatJson(BEGINNING)
    for (let from = 0; from < text.length; from += 97)
      for (const cut of [text.slice(0, from), text.slice(from), `${text.slice(0, from)}"\\${text.slice(from + 3)}`])
        for (let caret = 0; caret <= cut.length; caret += 29) completionAt(cut, caret, AGENTS)
  })
})

describe('the text of a definition', () => {
  it('puts short values on one line and preserves the value', () => {
    const text = formatJson(BEGINNING)
    expect(JSON.parse(text)).toEqual(BEGINNING)
    expect(text).toContain('  "description": "Qualifies a lead and drafts a reply.",\n')
    expect(text).toContain('      "needs": ["qualify"],\n')
    expect(Math.max(...text.split('\n').map((line) => line.length))).toBeLessThan(110)
    expect(formatJson([])).toBe('[]')
    expect(formatJson({})).toBe('{}')
  })

  it('omits defaults', () => {
    const stored = {
      workflow_id: 'greet',
      description: '',
      inputs: null,
      steps: [
        {
          needs: [],
          on_error: 'fail',
          kind: 'agent',
          retry: { backoff: 1, attempts: 3 },
          input: {},
          agent: 'chat_agent',
          key: 'a',
        },
        { key: 'b', kind: 'approval', needs: ['a'], timeout: 604800, approvers: 'owner', message: "'Go?'" },
      ],
    }
    expect(definitionOf(stored as never)).toEqual({
      workflow_id: 'greet',
      steps: [
        { key: 'a', agent: 'chat_agent', input: {} },
        { key: 'b', kind: 'approval', needs: ['a'], message: "'Go?'" },
      ],
    })
  })
})

describe('cron expressions', () => {
  it.each([
    ['* * * * *', 'Every minute'],
    ['*/15 * * * *', 'Every 15 minutes'],
    ['0 * * * *', 'Every hour'],
    ['5 * * * *', 'Every hour at minute 5'],
    ['30 7 * * 1', 'Every Monday at 07:30'],
    ['0 9 * * 1-5', 'Monday to Friday at 09:00'],
    ['0 9 * * 1,4', 'Monday, Thursday at 09:00'],
    ['0 6 1 * *', 'On day 1 of each month at 06:00'],
    ['0 6 1 1 *', null],
    ['0 6-8 * * *', null],
    ['soon', null],
  ])('%s is %s', (cron, words) => expect(describeCron(cron)).toBe(words))
})
