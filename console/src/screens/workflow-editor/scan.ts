/** Where the caret is in a text of JSON that may be half written. */
export interface Place {
  /** Names and indexes from the outermost value to the one at the caret; for a key, to its object. */
  path: string[]
  /** Whether a name of a field is written here, or a value. */
  key: boolean
  /** Inside quotes: what lies between them. */
  string: { from: number; to: number; closed: boolean } | null
}

export interface Scan {
  place: Place | null
  /** Each text by its place, such as `steps.0.key`. */
  texts: Map<string, string>
  /** The names of the fields of each object by its place. */
  names: Map<string, string[]>
}

interface Frame {
  list: boolean
  name: string
  index: number
  expects: 'key' | 'value' | 'end'
}

/** Reads a text as far as it is JSON. A text that has no end ends with its line. */
export function scan(text: string, caret: number): Scan {
  const frames: Frame[] = []
  const found: Scan = { place: null, texts: new Map(), names: new Map() }
  const path = (upTo = frames.length) => frames.slice(0, upTo).map((one) => (one.list ? String(one.index) : one.name))
  const value = () => {
    const top = frames.at(-1)
    if (top) top.expects = 'end'
  }
  let at = 0
  while (at <= text.length) {
    const top = frames.at(-1)
    if (at === caret && top && top.expects !== 'end') {
      const key = top.expects === 'key'
      found.place = { path: path(key ? frames.length - 1 : undefined), key, string: null }
    }
    const letter = text[at]
    if (letter === undefined) break
    if (letter === '"') {
      const end = endOf(text, at + 1)
      const closed = text[end] === '"'
      const key = top !== undefined && !top.list && top.expects === 'key'
      if (caret > at && caret <= end)
        found.place = {
          path: path(key ? frames.length - 1 : undefined),
          key,
          string: { from: at + 1, to: end, closed },
        }
      const said = unescaped(text.slice(at + 1, end))
      if (key) {
        const place = path(frames.length - 1).join('.')
        found.names.set(place, [...(found.names.get(place) ?? []), said])
        top.name = said
        top.expects = 'end'
      } else {
        found.texts.set(path().join('.'), said)
        value()
      }
      at = closed ? end + 1 : end
      continue
    }
    if (letter === '{' || letter === '[') {
      frames.push({ list: letter === '[', name: '', index: 0, expects: letter === '[' ? 'value' : 'key' })
    } else if (letter === '}' || letter === ']') {
      frames.pop()
      value()
    } else if (letter === ':' && top) top.expects = 'value'
    else if (letter === ',' && top) {
      top.index++
      top.expects = top.list ? 'value' : 'key'
    }
    at++
  }
  return found
}

function endOf(text: string, from: number): number {
  let at = from
  while (at < text.length && text[at] !== '"' && text[at] !== '\n') at += text[at] === '\\' ? 2 : 1
  return Math.min(at, text.length)
}

function unescaped(text: string): string {
  try {
    return JSON.parse(`"${text}"`) as string
  } catch {
    return text
  }
}
