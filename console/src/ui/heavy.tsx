import { Loading } from './basics'
import type { ChartProps } from './heavy/chart'
import type { GraphProps } from './heavy/graph'
import { lazily } from './lazily'

export type { ChartProps, GraphProps }

/** Markdown as safe HTML; plain text until its libraries are there. */
export const Markdown = lazily<{ text: string }>(
  () => import('./heavy/markdown'),
  ({ text }) => <div class="plain-text">{text}</div>,
)
export const Chart = lazily<ChartProps>(
  () => import('./heavy/chart'),
  () => <Loading rows={3} />,
)
export const Graph = lazily<GraphProps>(
  () => import('./heavy/graph'),
  () => <Loading rows={3} />,
)
