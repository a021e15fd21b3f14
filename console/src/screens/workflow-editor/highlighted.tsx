import type { ComponentChild } from 'preact'

const TOKEN = /("(?:[^"\\\n]|\\.)*"?)(\s*:)?|(-?\d[\d.eE+-]*|true|false|null)/g

/** The text in colours behind the text area, line by line. Screen readers read the text area. */
export function Highlighted({ text, invalid, id }: { text: string; invalid: ReadonlySet<number>; id: string }) {
  return (
    <div class="code-lines" aria-hidden="true">
      {text.split('\n').map((line, index) => (
        <div key={index} id={`${id}l${index + 1}`} class={invalid.has(index + 1) ? 'code-line bad' : 'code-line'}>
          {coloured(line)}
          {'\n'}
        </div>
      ))}
    </div>
  )
}

function coloured(line: string) {
  const parts: ComponentChild[] = []
  let last = 0
  for (const match of line.matchAll(TOKEN)) {
    const [whole, text, colon] = match
    parts.push(line.slice(last, match.index))
    if (text) parts.push(<span class={colon ? 'json-key' : 'json-text'}>{text}</span>, colon ?? '')
    else parts.push(<span class="json-value">{whole}</span>)
    last = match.index + whole.length
  }
  parts.push(line.slice(last))
  return parts
}
