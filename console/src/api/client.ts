import createClient from 'openapi-fetch'
import { freshToken, renewAfterRefusal } from '../auth/session'
import { ApiError } from './errors'
import type { paths } from './schema'

/** A request with the session's token. After a 401 the session is renewed, or asked for again, and the request repeated. */
async function signedFetch(request: Request): Promise<Response> {
  const again = request.clone()
  const token = await freshToken()
  const response = await send(request, token)
  if (response.status !== 401) return response
  return send(again, await renewAfterRefusal(token))
}

async function send(request: Request, token: string): Promise<Response> {
  request.headers.set('Authorization', `Bearer ${token}`)
  try {
    return await fetch(request)
  } catch (error) {
    if (request.signal.aborted) throw error
    throw ApiError.offline()
  }
}

/** The API, typed by its own document: `await ask(api.GET('/api/agents'))`. */
export const api = createClient<paths>({ baseUrl: location.origin, fetch: signedFetch })

interface Result<T> {
  data?: T
  error?: unknown
  response: Response
}

/** The data of a response. Throws ApiError for everything else. */
export async function ask<T>(pending: Promise<Result<T>>): Promise<T> {
  const { data, error, response } = await pending
  if (!response.ok) throw ApiError.of(response, error)
  return data as T
}

/** JSON of an address that the API's document does not describe: the console's own. */
export async function askPath<T>(path: string, signal?: AbortSignal): Promise<T> {
  const response = await signedFetch(new Request(`${location.origin}${path}`, { signal: signal ?? null }))
  const body = await response.json().catch(() => null)
  if (!response.ok) throw ApiError.of(response, body)
  return body as T
}
