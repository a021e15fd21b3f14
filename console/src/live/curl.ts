import { apiUrl } from '../api/config'

/** A line for a terminal. The token is asked for by name, so that the line can be shared. */
export function curl(method: string, path: string, body?: unknown, base = apiUrl()): string {
  const parts = [
    `curl -s${method === 'GET' ? '' : ` -X ${method}`} "${base}${path}"`,
    `-H "Authorization: Bearer $TOKEN"`,
  ]
  if (body !== undefined) parts.push(`-H 'Content-Type: application/json'`, `-d ${quoted(JSON.stringify(body))}`)
  return parts.join(' \\\n  ')
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`
}
