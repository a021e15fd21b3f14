import { useState } from 'preact/hooks'
import { useLocation } from 'wouter-preact'
import { api, ask } from '../../api'
import { seesAll } from '../../auth/session'
import { Filters, humanize, SelectFilter, TextFilter, useResource } from '../../ui'
import { ERROR_CODES, RANGES, type RunFilters, STATUSES } from './source'

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i
const NONE: RunFilters = { status: '', of: '', user: '', range: '', from: '', to: '', code: '', text: '' }

interface Props {
  filters: RunFilters
  set: (changes: Partial<RunFilters>) => void
  /** Of agents, by their type. */
  titles: Map<string, string>
}

export function RunFilterBar({ filters, set, titles }: Props) {
  const workflows = useResource((signal) => ask(api.GET('/api/agents/workflows', { signal })), [])
  const used = Object.values(filters).some(Boolean)
  const kinds: [string, string][] = [
    ['agent', 'All agents'],
    ['workflow', 'All workflows'],
    ...[...titles].map(([type, title]): [string, string] => [`agent:${type}`, `Agent: ${title}`]),
    ...(workflows.data?.items ?? []).map(({ workflow_id: id }): [string, string] => [
      `workflow:${id}`,
      `Workflow: ${humanize(id)}`,
    ]),
  ]
  return (
    <Filters onClear={used ? () => set(NONE) : undefined}>
      <OpenById />
      <TextFilter
        label="Text"
        placeholder="In inputs and errors"
        value={filters.text}
        onChange={(text) => set({ text })}
      />
      <SelectFilter
        label="Status"
        any="Any status"
        value={filters.status}
        options={STATUSES.map((status): [string, string] => [status, humanize(status)])}
        onChange={(status) => set({ status })}
      />
      <SelectFilter
        label="Agent or workflow"
        any="All"
        value={filters.of}
        options={withChosen(kinds, filters.of)}
        onChange={(of) => set({ of })}
      />
      <SelectFilter
        label="Created"
        any="Any time"
        value={filters.range}
        options={[
          ...Object.entries(RANGES).map(([code, { label }]): [string, string] => [code, label]),
          ['custom', 'From … to …'],
        ]}
        onChange={(range) => set({ range, ...(range === 'custom' ? {} : { from: '', to: '' }) })}
      />
      {filters.range === 'custom' && (
        <>
          <TextFilter label="From" type="datetime-local" value={filters.from} onChange={(from) => set({ from })} />
          <TextFilter label="To" type="datetime-local" value={filters.to} onChange={(to) => set({ to })} />
        </>
      )}
      <SelectFilter
        label="Error"
        any="Any"
        value={filters.code}
        options={withChosen(
          ERROR_CODES.map((code): [string, string] => [code, humanize(code)]),
          filters.code,
        )}
        onChange={(code) => set({ code })}
      />
      {seesAll.value && (
        <TextFilter
          label="User"
          placeholder="Id of a user"
          value={filters.user}
          onChange={(text) => (text === '' || UUID.test(text.trim())) && set({ user: text.trim() })}
        />
      )}
    </Filters>
  )
}

/** An address may have a value that is not among the options. */
function withChosen(options: [string, string][], chosen: string): [string, string][] {
  if (!chosen || options.some(([code]) => code === chosen)) return options
  return [...options, [chosen, humanize(chosen.split(':').pop() ?? chosen)]]
}

/** An id from a log or a response opens its run. */
function OpenById() {
  const [text, setText] = useState('')
  const [, navigate] = useLocation()
  return (
    <TextFilter
      label="Run id"
      placeholder="Paste an id to open it"
      value={text}
      onChange={(id) => {
        setText(id)
        if (UUID.test(id.trim())) navigate(`/runs/${id.trim()}`)
      }}
    />
  )
}
