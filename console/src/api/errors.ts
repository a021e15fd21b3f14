export interface FieldError {
  field: string
  message: string
}

/** An error of the API: the body `{"error", "code", "details"}`, or a request that got no response (`OFFLINE`). */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly details: FieldError[] = [],
    readonly requestId: string | null = null,
  ) {
    super(message)
    this.name = 'ApiError'
  }

  static offline(): ApiError {
    return new ApiError(0, 'OFFLINE', 'The server is unreachable. Check the connection; this page tries again.')
  }

  static of(response: Response, body: unknown): ApiError {
    const said = (typeof body === 'object' && body !== null ? body : {}) as Record<string, unknown>
    const message = typeof said.error === 'string' ? said.error : `The server returned status ${response.status}.`
    const code = typeof said.code === 'string' ? said.code : 'UNEXPECTED'
    const details = Array.isArray(said.details) ? (said.details as FieldError[]) : []
    return new ApiError(response.status, code, message, details, response.headers.get('X-Request-ID'))
  }
}

/** Any thrown value as an ApiError. */
export function asApiError(error: unknown): ApiError {
  if (error instanceof ApiError) return error
  if (error instanceof TypeError) return ApiError.offline()
  return new ApiError(0, 'UNEXPECTED', error instanceof Error ? error.message : String(error))
}
