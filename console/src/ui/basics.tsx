import type { ComponentChildren, JSX } from 'preact'
import { useEffect, useRef, useState } from 'preact/hooks'
import { type ApiError, asApiError } from '../api/errors'
import { formatAge, formatDuration, formatExact, formatNumber, humanize } from './format'
import { Icon, type IconName } from './icons'
import { useNow } from './resource'
import { toast } from './toasts'

type ButtonProps = Omit<JSX.IntrinsicElements['button'], 'icon' | 'loading'> & {
  kind?: 'primary' | 'danger' | 'plain' | 'ghost'
  icon?: IconName
  busy?: boolean
  small?: boolean
}

export function Button({ kind = 'plain', icon, busy = false, small, children, class: more, ...rest }: ButtonProps) {
  const classes = ['button', kind, small ? 'small' : '', !children ? 'icon-only' : '', more ?? '']
    .filter(Boolean)
    .join(' ')
  return (
    <button type="button" {...rest} class={classes} disabled={rest.disabled || busy} aria-busy={busy}>
      {busy ? <Spinner /> : icon && <Icon name={icon} />}
      {children && <span>{children}</span>}
    </button>
  )
}

/** A button with an asynchronous action: busy meanwhile, a toast on failure. */
export function ActionButton({ action, ...rest }: ButtonProps & { action: () => Promise<unknown> }) {
  const [busy, setBusy] = useState(false)
  const run = async () => {
    setBusy(true)
    try {
      await action()
    } catch (reason) {
      const error = asApiError(reason)
      toast(error.message, 'error')
    }
    setBusy(false)
  }
  return <Button {...rest} busy={busy} onClick={() => void run()} />
}

export function Spinner() {
  return <span class="spinner" aria-hidden="true" />
}

const TONES: Record<string, string> = {
  ok: 'good',
  completed: 'good',
  active: 'good',
  success: 'good',
  delivered: 'good',
  paid: 'good',
  hot: 'good',
  running: 'busy',
  queued: 'calm',
  pending: 'calm',
  waiting: 'warn',
  warning: 'warn',
  paused: 'warn',
  past_due: 'warn',
  warm: 'warn',
  failed: 'bad',
  error: 'bad',
  unavailable: 'bad',
  dead: 'bad',
  cancelled: 'muted',
  canceled: 'muted',
  skipped: 'muted',
  cold: 'muted',
}

/** A state as a coloured label with its name. */
export function Badge({ status, label }: { status: string; label?: string }) {
  return (
    <span class={`badge ${TONES[status] ?? 'calm'}`}>
      <span class="dot" aria-hidden="true" />
      {label ?? humanize(status)}
    </span>
  )
}

/** An age such as "2 min ago", with the exact time on hover. */
export function Age({ time }: { time: string | null | undefined }) {
  const now = useNow(15_000)
  if (!time) return <span class="quiet">–</span>
  return (
    <time dateTime={time} title={formatExact(time)}>
      {formatAge(time, now)}
    </time>
  )
}

/** A duration in milliseconds, exact on hover. */
export function Duration({ ms }: { ms: number | null | undefined }) {
  if (ms === null || ms === undefined) return <span class="quiet">–</span>
  return (
    <span class="number" title={`${formatNumber(ms)} ms`}>
      {formatDuration(ms)}
    </span>
  )
}

/** Copies a text, and announces it to screen readers too. */
export function CopyButton({
  text,
  label = 'Copy',
  small = true,
}: {
  text: string | (() => string)
  label?: string
  small?: boolean
}) {
  const [done, setDone] = useState(false)
  useEffect(() => {
    if (!done) return undefined
    const timer = setTimeout(() => setDone(false), 1500)
    return () => clearTimeout(timer)
  }, [done])
  const copy = async () => {
    await copyText(typeof text === 'function' ? text() : text)
    setDone(true)
  }
  return (
    <Button
      small={small}
      kind="ghost"
      icon={done ? 'check' : 'copy'}
      onClick={() => void copy()}
      aria-label={done ? 'Copied' : label}
    >
      {label === 'Copy' ? undefined : done ? 'Copied' : label}
    </Button>
  )
}

async function copyText(text: string): Promise<void> {
  try {
    await navigator.clipboard.writeText(text)
  } catch {
    toast('The browser does not allow copying here; select the text instead.', 'error')
  }
}

/** An id in short, whole on hover and in the clipboard. */
export function Id({ value }: { value: string }) {
  return (
    <span class="id">
      <code title={value}>{value.length > 12 ? `${value.slice(0, 8)}…` : value}</code>
      <CopyButton text={value} />
    </span>
  )
}

export function Code({ text, label }: { text: string; label?: string }) {
  return (
    <div class="code">
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls, and must do so by keyboard */}
      <pre tabIndex={0} role="group" aria-label={label ?? 'Code'}>
        <code>{text}</code>
      </pre>
      <CopyButton text={text} />
    </div>
  )
}

/** Whether this page has shown a screen before: on the first one, Tab begins at the link to the content. */
let opened = false

/** The heading of a screen, with what can be done there. It takes the focus when one screen follows another. */
export function Heading({
  title,
  children,
  lead,
}: {
  title: string
  children?: ComponentChildren
  lead?: ComponentChildren
}) {
  const ref = useRef<HTMLHeadingElement>(null)
  useEffect(() => {
    document.title = `${title} · PixelBloom`
  }, [title])
  useEffect(() => {
    if (opened) ref.current?.focus({ preventScroll: true })
    opened = true
  }, [])
  return (
    <header class="heading">
      <div>
        <h1 ref={ref} tabIndex={-1}>
          {title}
        </h1>
        {lead && <p class="lead">{lead}</p>}
      </div>
      {children && <div class="actions">{children}</div>}
    </header>
  )
}

/** A titled part of a screen; `label` names it for screen readers where several have the same title. */
export function Card({
  title,
  label = title,
  children,
  actions,
  class: more,
}: {
  title?: string
  label?: string | undefined
  children: ComponentChildren
  actions?: ComponentChildren
  class?: string
}) {
  return (
    <section class={`card ${more ?? ''}`} aria-label={label}>
      {title && (
        <div class="card-head">
          <h2>{title}</h2>
          {actions && <div class="actions">{actions}</div>}
        </div>
      )}
      {children}
    </section>
  )
}

/** Names with values, as a definition list. */
export function Facts({ items }: { items: [string, ComponentChildren][] }) {
  return (
    <dl class="facts">
      {items.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  )
}

export function Empty({
  title,
  children,
  icon = 'inbox',
}: {
  title: string
  children?: ComponentChildren
  icon?: IconName
}) {
  return (
    <div class="state">
      <Icon name={icon} />
      <h2>{title}</h2>
      {children && <div>{children}</div>}
    </div>
  )
}

export function Loading({ rows = 4 }: { rows?: number }) {
  return (
    <div class="skeletons" role="status" aria-label="Loading">
      {Array.from({ length: rows }, (_, index) => (
        <span class="skeleton" key={index} />
      ))}
    </div>
  )
}

export function ErrorState({ error, retry }: { error: ApiError; retry?: () => void }) {
  const offline = error.code === 'OFFLINE'
  return (
    <div class="state" role="alert">
      <Icon name={offline ? 'offline' : 'alert'} />
      <h2>
        {offline
          ? 'No connection'
          : error.status === 404
            ? 'Not found'
            : error.status === 403
              ? 'Not allowed'
              : 'That did not work'}
      </h2>
      <p>{error.message}</p>
      {error.requestId && error.status >= 500 && (
        <p class="quiet">
          Request <code>{error.requestId}</code>
        </p>
      )}
      {retry && (
        <Button icon="refresh" onClick={retry}>
          Try again
        </Button>
      )}
    </div>
  )
}

/** The state of a resource: its error, its skeleton, nothing, or `children` of its data. */
export function Loaded<T>({
  of,
  children,
  empty,
}: {
  of: { data: T | undefined; error: ApiError | undefined; loading: boolean; reload: () => void }
  children: (data: T) => ComponentChildren
  empty?: ComponentChildren
}) {
  if (of.data === undefined) return of.error ? <ErrorState error={of.error} retry={of.reload} /> : <Loading />
  if (empty && Array.isArray(of.data) && of.data.length === 0) return <>{empty}</>
  return <>{children(of.data)}</>
}

/** A figure with its name, and a change where there is one. */
export function Figure({
  name,
  value,
  title,
  change,
  note,
}: {
  name: string
  value: string
  title?: string
  change?: ComponentChildren
  note?: ComponentChildren
}) {
  return (
    <div class="figure">
      <span class="name">{name}</span>
      <span class="value number" title={title}>
        {value}
      </span>
      {change}
      {note && <span class="quiet">{note}</span>}
    </div>
  )
}
